// SPDX-License-Identifier: MIT
#include "analysis/nearest.h"

#include <gtest/gtest.h>

#include <cmath>

#include "analysis/kmer_counts.h"
#include "base/random.h"
#include "base/threads.h"
#include "random_vectors.h"

namespace barcodemae {
namespace {

TEST(NearestByCosine, FindsWhatABruteForceSearchFinds) {
  const Matrix keys = random_matrix(9001, 24, 1);  // more than one group of blocks
  const Matrix queries = random_matrix(301, 24, 2);
  for (const int threads : {1, 3}) {
    set_thread_count(threads);
    const auto found = nearest_by_cosine(RowSource::of(keys), RowSource::of(queries), 3);
    ASSERT_EQ(found.size(), 301u * 3);
    for (std::int64_t q = 0; q < queries.rows; q += 50) {
      std::vector<std::pair<double, std::int64_t>> all;
      for (std::int64_t k = 0; k < keys.rows; ++k) {
        all.emplace_back(-cosine(queries.row(q), keys.row(k)), k);
      }
      std::sort(all.begin(), all.end());
      for (std::size_t n = 0; n < 3; ++n) {
        const Neighbour& neighbour = found[static_cast<std::size_t>(q) * 3 + n];
        EXPECT_EQ(neighbour.key, all[n].second) << "query " << q << ", neighbour " << n;
        EXPECT_NEAR(neighbour.similarity, -all[n].first, 1e-6);
      }
    }
  }
}

TEST(NearestByCosine, TiesGoToTheLowestKey) {
  // The same vector at every 7th place, at other lengths, so that rounding could tell them apart.
  Matrix keys = random_matrix(3000, 40, 3);
  const Matrix query = random_matrix(1, 40, 4);
  for (std::int64_t k = 5; k < keys.rows; k += 7) {
    for (std::size_t c = 0; c < 40; ++c)
      keys.row(k)[c] = query.values[c] * static_cast<float>(k % 2 + 1);
  }
  EXPECT_EQ(nearest_by_cosine(RowSource::of(keys), RowSource::of(query), 1)[0].key, 5);
}

TEST(NearestByCosine, ZeroVectorsAndTooFewKeysAreLegal) {
  Matrix keys = random_matrix(2, 8, 5);
  const Matrix zero{1, 8, std::vector<float>(8, 0.0f)};
  const auto found = nearest_by_cosine(RowSource::of(keys), RowSource::of(zero), 4);
  EXPECT_EQ(found[0].key, 0);
  EXPECT_EQ(found[0].similarity, 0);
  EXPECT_EQ(found[2].key, -1);
}

TEST(KmerCounts, CountOverlappingKmersOfPlainBases) {
  std::vector<float> counts(16);
  count_kmers("ACGACNAC", 2, counts);  // AC CG GA AC | AC
  EXPECT_EQ(counts[0b0001], 3);
  EXPECT_EQ(counts[0b0110], 1);
  EXPECT_EQ(counts[0b1000], 1);
  float total = 0;
  for (const float count : counts) total += count;
  EXPECT_EQ(total, 5);
}

}  // namespace
}  // namespace barcodemae
