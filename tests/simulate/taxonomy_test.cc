// SPDX-License-Identifier: MIT
#include "simulate/taxonomy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "user_error.h"

namespace barcodemae {
namespace {

using ::testing::HasSubstr;

TEST(Taxonomy, EveryTaxonHasMembersAndEveryRecordASpecies) {
  for (const std::int64_t records : {1, 2, 7, 100, 5000}) {
    const Taxonomy taxonomy({.records = records, .seed = 3});
    EXPECT_EQ(taxonomy.individuals(), records);
    for (int l = 0; l < kLevelCount; ++l) {
      const auto level = static_cast<Level>(l);
      const std::int64_t parents = l == 0 ? 1 : taxonomy.size(static_cast<Level>(l - 1));
      std::int64_t expected_begin = 0;
      for (std::int64_t parent = 0; parent < parents; ++parent) {
        ASSERT_EQ(taxonomy.begin(level, parent), expected_begin);
        ASSERT_GT(taxonomy.end(level, parent), expected_begin);
        for (; expected_begin < taxonomy.end(level, parent); ++expected_begin) {
          ASSERT_EQ(taxonomy.parent(level, expected_begin), parent);
        }
      }
      ASSERT_EQ(expected_begin, taxonomy.size(level));
    }
    for (std::int64_t i = 0; i < records; ++i) {
      const std::int64_t species = taxonomy.species_of(i);
      ASSERT_GE(i, taxonomy.first_individual(species));
      ASSERT_LT(i, taxonomy.first_individual(species + 1));
    }
  }
}

TEST(Taxonomy, TakesTheNumbersAskedFor) {
  const Taxonomy taxonomy(
      {.records = 300, .classes = 2, .orders = 3, .families = 5, .genera = 20, .species = 90});
  EXPECT_EQ(taxonomy.size(Level::kClass), 2);
  EXPECT_EQ(taxonomy.size(Level::kOrder), 3);
  EXPECT_EQ(taxonomy.size(Level::kFamily), 5);
  EXPECT_EQ(taxonomy.size(Level::kGenus), 20);
  EXPECT_EQ(taxonomy.size(Level::kSpecies), 90);
}

TEST(Taxonomy, NumbersThatDoNotGoTogetherAreAnError) {
  EXPECT_THAT(user_error([] { Taxonomy({.records = 300, .genera = 20, .species = 10}); }),
              HasSubstr("10 species cannot hold 20 genera"));
}

TEST(Taxonomy, SizesAreSkewedAsInRealData) {
  const Taxonomy taxonomy({.records = 50000});
  std::vector<std::int64_t> sizes;
  for (std::int64_t s = 0; s < taxonomy.size(Level::kSpecies); ++s) {
    sizes.push_back(taxonomy.first_individual(s + 1) - taxonomy.first_individual(s));
  }
  std::sort(sizes.begin(), sizes.end());
  const auto quantile = [&](double q) {
    return sizes[static_cast<std::size_t>(q * static_cast<double>(sizes.size()))];
  };
  // Arthropods: 38 % singletons, median 2, 95 % up to 26.
  EXPECT_EQ(quantile(0.3), 1);
  EXPECT_LE(quantile(0.5), 3);
  EXPECT_GE(quantile(0.5), 2);
  EXPECT_GT(quantile(0.95), 15);
  EXPECT_LT(quantile(0.95), 40);
}

TEST(Taxonomy, SplitsFollowTheRules) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    constexpr std::int64_t kRecords = 20000;
    const Taxonomy taxonomy({.records = kRecords, .seed = seed});
    std::array<std::int64_t, kSplitCount> counts{};
    std::array<std::set<std::int64_t>, kSplitCount> species, genera;
    for (std::int64_t i = 0; i < kRecords; ++i) {
      const auto split = static_cast<std::size_t>(taxonomy.split(i));
      ++counts[split];
      species[split].insert(taxonomy.species_of(i));
      genera[split].insert(taxonomy.parent(Level::kSpecies, taxonomy.species_of(i)));
    }
    for (std::size_t split = 0; split < kSplitCount; ++split) {
      EXPECT_NEAR(static_cast<double>(counts[split]) / kRecords, kSplitShares[split], 0.002)
          << to_string(static_cast<Split>(split));
    }
    const auto of = [](auto& sets, Split split) -> const std::set<std::int64_t>& {
      return sets[static_cast<std::size_t>(split)];
    };
    for (const Split closed : {Split::kVal, Split::kTest}) {
      for (const std::int64_t s : of(species, closed)) {
        EXPECT_TRUE(of(species, Split::kTrain).contains(s));
      }
    }
    for (const Split open : {Split::kValUnseen, Split::kTestUnseen}) {
      for (std::size_t other = 0; other < kSplitCount; ++other) {
        if (other == static_cast<std::size_t>(open)) continue;
        for (const std::int64_t s : of(species, open)) EXPECT_FALSE(species[other].contains(s));
      }
      for (const std::int64_t g : of(genera, open)) {
        EXPECT_TRUE(of(genera, Split::kTrain).contains(g));
      }
    }
  }
}

}  // namespace
}  // namespace barcodemae
