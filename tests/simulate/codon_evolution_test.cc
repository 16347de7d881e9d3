// SPDX-License-Identifier: MIT
#include "simulate/codon_evolution.h"

#include <gtest/gtest.h>

#include <array>
#include <string_view>

namespace barcodemae {
namespace {

std::uint8_t codon(std::string_view bases) {
  int number = 0;
  for (const char base : bases) number = 4 * number + static_cast<int>(kBases.find(base));
  return static_cast<std::uint8_t>(number);
}

TEST(GeneticCode, IsTableFive) {
  // Where the invertebrate mitochondrial code differs from the standard one, and some where not.
  for (const auto& [bases, acid] :
       std::initializer_list<std::pair<const char*, char>>{{"AGA", 'S'},
                                                           {"AGG", 'S'},
                                                           {"ATA", 'M'},
                                                           {"TGA", 'W'},
                                                           {"TAA", '*'},
                                                           {"TAG", '*'},
                                                           {"ATG", 'M'},
                                                           {"TTT", 'F'},
                                                           {"TTA", 'L'},
                                                           {"CTC", 'L'},
                                                           {"GGC", 'G'},
                                                           {"AAG", 'K'},
                                                           {"CAT", 'H'},
                                                           {"TGC", 'C'},
                                                           {"ATT", 'I'}}) {
    EXPECT_EQ(kAminoAcids[static_cast<std::size_t>(translate(codon(bases)))], acid) << bases;
  }
  std::array<int, kAminoAcidCount + 1> counts{};
  for (std::uint8_t c = 0; c < 64; ++c) ++counts[static_cast<std::size_t>(translate(c))];
  EXPECT_EQ(counts[kStop], 2);
  for (const int count : counts) EXPECT_GE(count, 2);
}

TEST(ProteinProfile, BestAminoAcidIsTheFittestAndStopsAreUnfit) {
  const ProteinProfile profile(1);
  int variable = 0;
  for (int site = 0; site < kCodonCount; ++site) {
    EXPECT_EQ(profile.fitness(site, profile.best(site)), 1);
    EXPECT_EQ(profile.fitness(site, kStop), 0);
    int accepted = 0;
    for (int acid = 0; acid < kAminoAcidCount; ++acid) accepted += profile.fitness(site, acid) > 0;
    variable += accepted > 1;
  }
  EXPECT_GT(variable, kCodonCount / 3);
  EXPECT_LT(variable, kCodonCount);
}

TEST(MutationModel, ShortBranchHasAsManySubstitutionsAsAsked) {
  // At equilibrium. Most changes are at third positions and most of them are transitions.
  const ProteinProfile profile(1);
  const MutationModel model(0);
  RandomSequence random(7, Stream::kSimulate);
  CodonSequence codons = model.draw(profile, random);
  model.evolve(codons, 5, profile, random);
  std::array<int, 3> changed{};
  int transitions = 0, all = 0;
  constexpr int kBranches = 500;
  for (int i = 0; i < kBranches; ++i) {
    CodonSequence child = codons;
    model.evolve(child, 0.02, profile, random);
    for (std::size_t site = 0; site < child.size(); ++site) {
      ASSERT_NE(translate(child[site]), kStop);
      for (std::size_t position = 0; position < 3; ++position) {
        const int shift = 4 - 2 * static_cast<int>(position);
        const int difference = ((child[site] ^ codons[site]) >> shift) & 3;
        changed[position] += difference != 0;
        transitions += difference == 2;
        all += difference != 0;
      }
    }
  }
  const auto rate = [&](std::size_t position) {
    return changed[position] / (kBranches * double{kCodonCount});
  };
  EXPECT_GT(rate(2), 0.010);
  EXPECT_LT(rate(2), 0.022);
  EXPECT_LT(rate(0), rate(2) / 3);
  EXPECT_LT(rate(1), rate(0));
  EXPECT_GT(transitions, 0.6 * all);
}

TEST(DrawPoisson, HasItsMeanAndVariance) {
  RandomSequence random(1, Stream::kSimulate);
  for (const double mean : {0.0, 0.3, 5.0, 100.0}) {
    constexpr int kDraws = 20000;
    double sum = 0, squares = 0;
    for (int i = 0; i < kDraws; ++i) {
      const double events = draw_poisson(mean, random);
      sum += events;
      squares += events * events;
    }
    const double found = sum / kDraws;
    EXPECT_NEAR(found, mean, 0.03 * mean);
    EXPECT_NEAR(squares / kDraws - found * found, mean, 0.06 * mean);
  }
}

}  // namespace
}  // namespace barcodemae
