// SPDX-License-Identifier: MIT
#include "data/site_frequencies.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <numeric>

#include "base/threads.h"
#include "records.h"

namespace barcodemae {
namespace {

SequenceCoder coder(int k) {
  KmerVocabulary vocabulary;
  vocabulary.k = k;
  return {KmerTokenizer(vocabulary), std::nullopt};
}

TEST(SiteFrequencies, CountPlacesAndSmoothTowardsTheWhole) {
  // 2-mers: position 0 is AC, AC, NG (unknown); position 1 is GT, GA.
  const Dataset data = testing_data::make_dataset({"ACGT", "ACGA", "NG"});
  const std::vector<std::int64_t> records{0, 1, 2};
  const auto logs = site_log_frequencies(data, coder(2), records, 3);
  ASSERT_EQ(logs.size(), 3 * 8);
  // First bases of all k-mers: A 2, G 2, with one pseudo-count each: 3/8, 1/8, 3/8, 1/8.
  EXPECT_NEAR(logs[0], std::log((2 + 4 * 3.0 / 8) / 6), 1e-6);
  EXPECT_NEAR(logs[1], std::log((4 * 1.0 / 8) / 6), 1e-6);
  // Second bases: C 2, T 1, A 1.
  EXPECT_NEAR(logs[8 + 4], std::log((1 + 4 * 2.0 / 8) / 6), 1e-6);
  // Position 2 was never seen.
  EXPECT_NEAR(logs[16 + 2], std::log(3.0 / 8), 1e-6);
  for (std::size_t place = 0; place < logs.size(); place += 4) {
    double sum = 0;
    for (std::size_t i = place; i < place + 4; ++i) sum += std::exp(double{logs[i]});
    EXPECT_NEAR(sum, 1, 1e-6);
  }

  const double acgt =
      -double{logs[0]} - double{logs[5]} - double{logs[8 + 2]} - double{logs[8 + 7]};
  const double acga =
      -double{logs[0]} - double{logs[5]} - double{logs[8 + 2]} - double{logs[8 + 4]};
  EXPECT_NEAR(site_frequency_loss(logs, data, coder(2), records), (acgt + acga) / 4, 1e-9);
  const PackedBatch batch = pack(data, coder(2), records);
  const std::vector<std::int32_t> rows{1, 4};  // GT and [UNK]
  EXPECT_NEAR(site_frequency_loss(logs, coder(2), batch, rows),
              -double{logs[8 + 2]} - double{logs[8 + 7]}, 1e-9);
  EXPECT_EQ(site_frequency_loss(logs, data, coder(2), {}), 0);

  PackedBatch with_n = batch;
  with_n.ids[0] = coder(2).tokenizer.vocabulary().first_kmer() + 16;  // where AC was
  const std::vector<std::int32_t> three{0, 1, 4};
  EXPECT_NEAR(site_frequency_loss(logs, coder(2), with_n, three),
              2 * site_frequency_loss(logs, coder(2), with_n, rows), 1e-9);
}

TEST(SiteFrequencies, BytePairsHaveNoSite) {
  BpeVocabulary pairs;
  pairs.tokens = {"[MASK]", "[UNK]", "A", "C", "AC"};
  pairs.specials = 2;
  pairs.merges = {{2, 3}};
  SequenceCoder by_pairs = coder(2);
  by_pairs.bpe = std::make_shared<const BpeTokenizer>(pairs, 8);
  const Dataset data = testing_data::make_dataset({"ACACA", "AC"});  // AC AC A, AC
  const std::vector<std::int64_t> records{0, 1};
  const auto logs = site_log_frequencies(data, by_pairs, records, 8);
  ASSERT_EQ(logs.size(), 3u);
  EXPECT_NEAR(logs[0], std::log(2.0 / 7), 1e-6);
  EXPECT_NEAR(logs[1], std::log(1.0 / 7), 1e-6);
  EXPECT_NEAR(logs[2], std::log(4.0 / 7), 1e-6);
  const PackedBatch batch = pack(data, by_pairs, records);
  const std::vector<std::int32_t> rows{0, 2};
  EXPECT_NEAR(site_frequency_loss(logs, by_pairs, batch, rows), -double{logs[2]} - double{logs[0]},
              1e-9);
}

TEST(SiteFrequencies, AreTheSameForAnyThreadCount) {
  std::vector<std::string> sequences;
  for (int i = 0; i < 5000; ++i) {
    std::string sequence;
    for (int j = 0; j < 40; ++j) sequence += "ACGT"[(i * 7 + j * j * (i % 13)) % 11 % 4];
    sequences.push_back(sequence);
  }
  const Dataset data = testing_data::make_dataset(sequences);
  std::vector<std::int64_t> records(5000);
  std::iota(records.begin(), records.end(), 0);
  const int threads = thread_count();
  set_thread_count(1);
  const auto one = site_log_frequencies(data, coder(3), records, 20);
  const double loss_of_one = site_frequency_loss(one, data, coder(3), records);
  set_thread_count(3);
  EXPECT_EQ(site_log_frequencies(data, coder(3), records, 20), one);
  EXPECT_EQ(site_frequency_loss(one, data, coder(3), records), loss_of_one);
  set_thread_count(threads);
}

}  // namespace
}  // namespace barcodemae
