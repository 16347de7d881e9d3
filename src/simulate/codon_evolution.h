// SPDX-License-Identifier: MIT
// A protein-coding stretch of mitochondrial DNA that evolves: mutation by base, selection by amino
// acid.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "simulate/genetic_code.h"

namespace barcodemae {

/// Codons of the simulated stretch: the barcode region with ten codons on either side, into which
/// some reads run.
inline constexpr int kCodonCount = 240;
using CodonSequence = std::array<std::uint8_t, kCodonCount>;

/// How well each amino acid does at each codon, relative to the best one, and how often each base
/// mutates.
class ProteinProfile {
 public:
  /// A random protein with the amino-acid composition typical of COI. Most of its sites accept
  /// nothing else; at the others some chemically similar amino acids do.
  explicit ProteinProfile(std::uint64_t seed);

  float fitness(int codon, int amino_acid) const {
    return fitness_[static_cast<std::size_t>(codon)][static_cast<std::size_t>(amino_acid)];
  }
  int best(int codon) const { return best_[static_cast<std::size_t>(codon)]; }
  /// A base at which a mutation strikes, drawn by kStruckBits random bits: some mutate often, some
  /// hardly ever.
  struct Struck {
    std::uint8_t codon;
    std::uint8_t shift;  ///< of the base's two bits in the codon
  };
  static constexpr int kStruckBits = 13;
  Struck struck(std::uint32_t bits) const { return struck_[bits]; }

 private:
  std::array<std::array<float, kAminoAcidCount + 1>, kCodonCount> fitness_{};  // 0 for the stop
  std::array<std::uint8_t, kCodonCount> best_{};
  std::array<Struck, std::size_t{1} << kStruckBits> struck_{};  // each as often as it mutates
};

/// Mutation as in the model of Hasegawa, Kishino and Yano (J. Mol. Evol. 22, 1985): towards the
/// equilibrium frequency of the new base, transitions kappa times as often; fixation as in
/// mutation– selection models (Halpern and Bruno, Mol. Biol. Evol. 15, 1998), here with the
/// acceptance rule of Metropolis, so that codons tend to the product of base frequencies and
/// fitness.
class MutationModel {
 public:
  /// `at_bias` is added to the log odds of A and T against C and G.
  explicit MutationModel(double at_bias);

  /// Evolves along a branch of so many substitutions per neutral site.
  void evolve(CodonSequence& codons, double length, const ProteinProfile& profile,
              RandomSequence& random) const;
  /// A codon sequence of the profile's best amino acids, codons drawn by the base frequencies.
  CodonSequence draw(const ProteinProfile& profile, RandomSequence& random) const;

 private:
  std::array<double, 4> frequencies_{};
  static constexpr int kChanceBits = 32 - ProteinProfile::kStruckBits;
  /// Chance, times 2^kChanceBits, that a proposed mutation of base x is one to y or to a base
  /// before y; the rest is none.
  std::array<std::array<std::uint32_t, 4>, 4> cumulative_{};
  double proposals_per_substitution_ = 1;
};

/// A number of events with the given mean, by Poisson's law; for many, by its normal approximation.
int draw_poisson(double mean, RandomSequence& random);
double draw_exponential(double mean, RandomSequence& random);

}  // namespace barcodemae
