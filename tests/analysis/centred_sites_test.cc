// SPDX-License-Identifier: MIT
#include "analysis/centred_sites.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "marker/reverse_complement.h"

namespace barcodemae {
namespace {

/// Barcodes of 120 conserved sites and, at 60 and 61, an A nearly everywhere and a T in a few.
class CentredSites : public testing::Test {
 protected:
  CentredSites() {
    RandomSequence random(5, Stream::kSimulate);
    for (int i = 0; i < 120; ++i) consensus_ += "ACGT"[random.below(4)];
    std::vector<std::string> whole;
    for (int i = 0; i < 100; ++i) {
      whole.push_back(with(i % 20 == 0 ? 'T' : 'A', i % 20 == 1 ? 'T' : 'A'));
    }
    profile_ = MarkerProfile::learn({whole.begin(), whole.end()});
  }
  std::string with(char first, char second) const {
    std::string sequence = consensus_;
    sequence[60] = first;
    sequence[61] = second;
    return sequence;
  }
  /// The rows of these sequences.
  std::vector<std::vector<float>> rows(const std::vector<std::string>& sequences) {
    data_ = {};
    for (const std::string& sequence : sequences) {
      Record record;
      record.id = std::to_string(data_.size());
      record.sequence = sequence;
      data_.append(record);
    }
    data_.anchor(*profile_);
    records_.resize(sequences.size());
    std::iota(records_.begin(), records_.end(), 0);
    const RowSource source = centred_site_rows(data_, records_, *profile_);
    EXPECT_EQ(source.cols, 480);
    std::vector<std::vector<float>> result(sequences.size(), std::vector<float>(480, 9));
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      source.fill(static_cast<std::int64_t>(i), result[i]);
    }
    return result;
  }

  std::string consensus_;
  std::optional<MarkerProfile> profile_;
  Dataset data_;
  std::vector<std::int64_t> records_;
};

TEST_F(CentredSites, AreIndicatorsLessFrequencies) {
  const auto row = rows({with('T', 'A')})[0];
  const auto at = [&](std::size_t site, std::size_t base) { return row[4 * site + base]; };
  EXPECT_NEAR(at(60, 0), -0.95, 1e-3);
  EXPECT_NEAR(at(60, 3), 0.95, 1e-3);
  EXPECT_NEAR(at(61, 0), 0.05, 1e-3);
  EXPECT_NEAR(at(61, 3), -0.05, 1e-3);
  for (std::size_t base = 0; base < 4; ++base) EXPECT_EQ(at(10, base), 0) << "always the same";
}

TEST_F(CentredSites, MissingBasesAreZerosAndStrandsAreTurned) {
  std::string part = with('T', 'A').substr(20, 90);
  part[41] = 'N';  // site 61
  const auto made = rows({part, reverse_complement(part)});
  EXPECT_EQ(made[0], made[1]);
  EXPECT_NEAR(made[0][4 * 60 + 3], 0.95, 1e-3);
  for (std::size_t base = 0; base < 4; ++base) EXPECT_EQ(made[0][4 * 61 + base], 0);
  EXPECT_EQ(std::count(made[0].begin(), made[0].end(), 9.0f), 0) << "every number is written";
}

TEST_F(CentredSites, WhatIsSharedWithFewDecides) {
  // Both differ from the query at one of the two sites; but the first shares the rare base.
  const auto made = rows({with('T', 'T'), with('A', 'A'), with('T', 'A')});
  std::vector<std::int64_t> query = {2}, keys = {1, 0};
  const auto nearest = nearest_by_cosine(centred_site_rows(data_, keys, *profile_),
                                         centred_site_rows(data_, query, *profile_), 1);
  EXPECT_EQ(nearest.at(0).key, 1);
}

}  // namespace
}  // namespace barcodemae
