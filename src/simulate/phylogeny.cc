// SPDX-License-Identifier: MIT
#include "simulate/phylogeny.h"

#include <algorithm>
#include <cmath>

#include "base/threads.h"

namespace barcodemae {
namespace {

/// Mean depth of the tree of a taxon's children, in substitutions per neutral site, from the
/// classes down to the BINs of a species. Chosen so that distances within species, genus, family,
/// order and class come near those of arthropod barcodes (0.016, 0.11, 0.17, 0.22, 0.26 of the
/// bases).
constexpr std::array<double, kLevelCount> kDepths = {3, 2.5, 1.6, 0.8, 0.8, 0.16};
/// How much the AT bias changes from a taxon to its children.
constexpr std::array<double, kLevelCount> kBiasDeviations = {0.2, 0.3, 0.4, 0.3, 0, 0};
/// Substitutions per site before the first split: enough to forget how the ancestor was made.
constexpr double kBurnIn = 4;
constexpr std::uint32_t kAncestorStep = 0x101, kBiasStep = 0x110;

/// Grows the tree of one taxon's children: tips divide between the two sides of a fork as in a Yule
/// process, uniformly; the more tips a side has, the sooner it forks again.
class TreeGrower {
 public:
  TreeGrower(const MutationModel& model, const ProteinProfile& profile, RandomSequence& random)
      : model_(model), profile_(profile), random_(random) {}

  void grow(CodonSequence codons, double depth, CodonSequence* tips, std::uint32_t count) {
    if (count == 1) {
      model_.evolve(codons, depth, profile_, random_);
      *tips = codons;
      return;
    }
    const std::uint32_t left = 1 + random_.below(count - 1);
    grow_side(codons, depth, tips, left);
    grow_side(codons, depth, tips + left, count - left);
  }

 private:
  void grow_side(CodonSequence codons, double depth, CodonSequence* tips, std::uint32_t count) {
    double rest = depth;
    if (count > 1) {
      rest = depth * std::pow(1 - random_.uniform(), 1.0 / (count - 1));
      model_.evolve(codons, depth - rest, profile_, random_);
    }
    grow(codons, rest, tips, count);
  }

  const MutationModel& model_;
  const ProteinProfile& profile_;
  RandomSequence& random_;
};

}  // namespace

Phylogeny::Phylogeny(const Taxonomy& taxonomy, const ProteinProfile& profile, std::uint64_t seed) {
  const MutationModel unbiased(0);
  RandomSequence ancestral(seed, Stream::kSimulate, kAncestorStep);
  std::vector<CodonSequence> parents{unbiased.draw(profile, ancestral)};
  unbiased.evolve(parents[0], kBurnIn, profile, ancestral);
  std::vector<float> bias{0};

  for (int l = 0; l < kLevelCount; ++l) {
    const auto level = static_cast<Level>(l);
    const auto number = static_cast<std::uint32_t>(l);
    const auto count = static_cast<std::size_t>(taxonomy.size(level));
    std::vector<CodonSequence> children(count);
    std::vector<float> child_bias(count);
    parallel_for(static_cast<std::int64_t>(parents.size()), [&](std::int64_t parent, int) {
      const auto index = static_cast<std::uint32_t>(parent);
      const std::int64_t begin = taxonomy.begin(level, parent), end = taxonomy.end(level, parent);
      const float parent_bias = bias[static_cast<std::size_t>(parent)];
      RandomSequence bias_random(seed, Stream::kSimulate, kBiasStep + number, index);
      for (std::int64_t child = begin; child < end; ++child) {
        const double change = kBiasDeviations[number] * bias_random.normal();
        child_bias[static_cast<std::size_t>(child)] = parent_bias + static_cast<float>(change);
      }
      if (level == Level::kBin && end - begin == 1) {  // the BIN is the species
        children[static_cast<std::size_t>(begin)] = parents[static_cast<std::size_t>(parent)];
        return;
      }
      RandomSequence random(seed, Stream::kSimulate, number, index);
      const double depth = draw_exponential(kDepths[number], random);
      const MutationModel model(parent_bias);
      TreeGrower(model, profile, random)
          .grow(parents[static_cast<std::size_t>(parent)], depth,
                &children[static_cast<std::size_t>(begin)],
                static_cast<std::uint32_t>(end - begin));
    });
    parents = std::move(children);
    bias = std::move(child_bias);
    if (level == Level::kGenus) genus_at_bias = bias;
  }
  bins = std::move(parents);
}

}  // namespace barcodemae
