// SPDX-License-Identifier: MIT
#include "simulate/codon_evolution.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace barcodemae {
namespace {

/// Equilibrium frequencies of A, C, G, T at neutral sites: the third codon positions of arthropod
/// barcodes.
constexpr std::array<double, 4> kFrequencies = {0.50, 0.08, 0.04, 0.38};
constexpr double kKappa = 12;
constexpr std::uint32_t kPositions = 3 * kCodonCount;
/// Added to the exponential mutation rates of mean 1.
constexpr double kLowestRate = 0.05;
/// Share of the codons that accept other amino acids, and what amino-acid changes are slowed by.
constexpr double kVariableSites = 0.65, kReplacementRate = 0.3;

/// Share of each amino acid in COI, in per mille: many Leu, Ile, Gly, Phe, few charged ones.
struct Composition {
  char amino_acid;
  int per_mille;
  std::string_view similar;  ///< what may take its place where the site is variable
};
constexpr std::array<Composition, 20> kComposition = {
    {{'L', 150, "IMFV"}, {'I', 80, "VLMT"}, {'G', 92, "SA"},   {'F', 70, "LYIM"}, {'S', 82, "TNAG"},
     {'A', 85, "SGTV"},  {'T', 57, "SAIV"}, {'M', 47, "LIVT"}, {'P', 60, "SA"},   {'N', 42, "SDHT"},
     {'V', 70, "IAML"},  {'D', 30, "EN"},   {'H', 26, "NQY"},  {'W', 23, "L"},    {'R', 23, "KQ"},
     {'Y', 22, "FH"},    {'E', 16, "DQ"},   {'Q', 14, "HEK"},  {'K', 7, "RQN"},   {'C', 4, "S"}}};

// Levels of the random streams that are not ranks of the taxonomy; see phylogeny.cc.
constexpr std::uint32_t kProfileStep = 0x100;

/// How often mutation alone would have an amino acid.
double codon_weight(int acid) {
  double sum = 0;
  for (std::uint8_t codon = 0; codon < 64; ++codon) {
    if (translate(codon) == acid) {
      sum += kFrequencies[codon >> 4] * kFrequencies[(codon >> 2) & 3] * kFrequencies[codon & 3];
    }
  }
  return sum;
}

bool is_transition(std::size_t a, std::size_t b) { return (a ^ b) == 2; }

}  // namespace

ProteinProfile::ProteinProfile(std::uint64_t seed) {
  RandomSequence random(seed, Stream::kSimulate, kProfileStep);
  // The composition in full, in random order.
  int filled = 0, sum = 0;
  for (const Composition& entry : kComposition) {
    sum += entry.per_mille;
    const int end = (sum * kCodonCount + 500) / 1000;
    const auto letter = static_cast<std::uint8_t>(amino_acid(entry.amino_acid));
    for (; filled < std::min(end, kCodonCount); ++filled) {
      best_[static_cast<std::size_t>(filled)] = letter;
    }
  }
  for (; filled < kCodonCount; ++filled) {
    best_[static_cast<std::size_t>(filled)] = static_cast<std::uint8_t>(amino_acid('L'));
  }
  for (std::uint32_t i = kCodonCount - 1; i > 0; --i) {
    std::swap(best_[i], best_[random.below(i + 1)]);
  }
  for (std::size_t site = 0; site < best_.size(); ++site) {
    fitness_[site][best_[site]] = 1;
    if (random.uniform() >= kVariableSites) continue;
    const double laxity = std::sqrt(random.uniform());
    const auto entry = std::find_if(kComposition.begin(), kComposition.end(), [&](const auto& e) {
      return amino_acid(e.amino_acid) == best_[site];
    });
    for (const char letter : entry->similar) {
      const int other = amino_acid(letter);
      // Not to be outweighed by the codons that mutation favours: AT-rich ones.
      const double handicap = std::min(1.0, codon_weight(best_[site]) / codon_weight(other));
      fitness_[site][static_cast<std::size_t>(other)] =
          static_cast<float>(laxity * random.uniform() * handicap);
    }
  }

  // Among-site rate variation: a Gamma distribution of shape 1.
  std::array<double, kPositions> cumulative{};
  double sum_of_rates = 0;
  for (double& rate : cumulative) {
    sum_of_rates += kLowestRate + draw_exponential(1, random);
    rate = sum_of_rates;
  }
  std::size_t position = 0;
  for (std::size_t i = 0; i < struck_.size(); ++i) {
    const double share = (static_cast<double>(i) + 0.5) / static_cast<double>(struck_.size());
    while (cumulative[position] < share * sum_of_rates) ++position;
    struck_[i] = {static_cast<std::uint8_t>(position / 3),
                  static_cast<std::uint8_t>(4 - 2 * (position % 3))};
  }
}

MutationModel::MutationModel(double at_bias) {
  double sum = 0;
  for (std::size_t base = 0; base < 4; ++base) {
    const bool at = kBases[base] == 'A' || kBases[base] == 'T';
    frequencies_[base] = kFrequencies[base] * (at ? std::exp(at_bias) : 1);
    sum += frequencies_[base];
  }
  for (double& frequency : frequencies_) frequency /= sum;

  std::array<std::array<double, 4>, 4> cumulative{};
  double largest = 0, mean = 0;
  for (std::size_t from = 0; from < 4; ++from) {
    double rate = 0;
    for (std::size_t to = 0; to < 4; ++to) {
      if (to != from) rate += frequencies_[to] * (is_transition(from, to) ? kKappa : 1);
      cumulative[from][to] = rate;
    }
    largest = std::max(largest, rate);
    mean += frequencies_[from] * rate;
  }
  for (std::size_t from = 0; from < 4; ++from) {
    for (std::size_t to = 0; to < 4; ++to) {
      cumulative_[from][to] =
          static_cast<std::uint32_t>(std::ldexp(cumulative[from][to] / largest, kChanceBits));
    }
  }
  proposals_per_substitution_ = largest / mean;
}

void MutationModel::evolve(CodonSequence& codons, double length, const ProteinProfile& profile,
                           RandomSequence& random) const {
  const int proposals = draw_poisson(length * proposals_per_substitution_ * kPositions, random);
  for (int i = 0; i < proposals; ++i) {
    const std::uint32_t word = random(), chance = word >> ProteinProfile::kStruckBits;
    const auto [site, shift] = profile.struck(word & ((1u << ProteinProfile::kStruckBits) - 1));
    const std::uint8_t codon = codons[site];
    const auto from = static_cast<std::size_t>((codon >> shift) & 3);
    const auto& cumulative = cumulative_[from];
    if (chance >= cumulative[3]) continue;
    const std::size_t to = std::size_t{chance >= cumulative[0]} + (chance >= cumulative[1]) +
                           (chance >= cumulative[2]);
    const auto mutant = static_cast<std::uint8_t>(codon ^ ((from ^ to) << shift));
    const int old_acid = translate(codon), new_acid = translate(mutant);
    if (old_acid != new_acid) {
      const float advantage = profile.fitness(site, new_acid) / profile.fitness(site, old_acid);
      if (advantage == 0 || random() * 0x1p-32 >= kReplacementRate * std::min(1.0f, advantage)) {
        continue;
      }
    }
    codons[site] = mutant;
  }
}

CodonSequence MutationModel::draw(const ProteinProfile& profile, RandomSequence& random) const {
  CodonSequence codons{};
  for (int site = 0; site < kCodonCount; ++site) {
    std::array<double, 64> weight{};
    double sum = 0;
    for (std::uint8_t codon = 0; codon < 64; ++codon) {
      if (translate(codon) == profile.best(site)) {
        sum += frequencies_[codon >> 4] * frequencies_[(codon >> 2) & 3] * frequencies_[codon & 3];
      }
      weight[codon] = sum;
    }
    const double number = random.uniform() * sum;
    std::uint8_t codon = 0;
    while (number >= weight[codon]) ++codon;
    codons[static_cast<std::size_t>(site)] = codon;
  }
  return codons;
}

int draw_poisson(double mean, RandomSequence& random) {
  constexpr double kNearlyNormal = 12;
  if (mean > kNearlyNormal) {
    return std::max(0, static_cast<int>(std::lround(mean + std::sqrt(mean) * random.normal())));
  }
  // Knuth's product of uniforms.
  const double limit = std::exp(-mean);
  int events = 0;
  for (double product = random.uniform(); product > limit; product *= random.uniform()) ++events;
  return events;
}

double draw_exponential(double mean, RandomSequence& random) {
  return -mean * std::log(1 - random.uniform());
}

}  // namespace barcodemae
