// SPDX-License-Identifier: MIT
// What the marker coordinates do on real barcodes; needs BARCODEMAE_DATA. Rates are printed.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "data/anchor.h"
#include "data/site_frequencies.h"

namespace barcodemae {
namespace {

class SlowRealData : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("BARCODEMAE_DATA");
    if (folder == nullptr) GTEST_SKIP() << "skipped: BARCODEMAE_DATA is not set";
    folder_ = folder;
  }
  Dataset load(const std::string& file, std::vector<std::string> splits = {}) const {
    return Dataset::load(folder_ / file, {.splits = std::move(splits), .progress = false});
  }
  static std::vector<std::int64_t> all(const Dataset& data) {
    std::vector<std::int64_t> records(static_cast<std::size_t>(data.size()));
    std::iota(records.begin(), records.end(), 0);
    return records;
  }
  template <typename Work>
  static double seconds(const Work& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  std::filesystem::path folder_;
};

TEST_F(SlowRealData, CoiIsExplained) {
  struct Expected {
    const char* split;
    double explained, loss;
  };
  for (const Expected& expected : {Expected{"train", 0.985, 2.64}, {"pretrain", 0.965, 3.01}}) {
    Dataset data = load("coi-arthropoda.csv.zst", {expected.split});
    const auto profile = resolve_anchor("auto", data);
    ASSERT_TRUE(profile);
    EXPECT_EQ(profile->length(), 658);
    EXPECT_EQ(profile->codon_start(), 1);

    double share = 0;
    const double anchoring = seconds([&] { share = data.anchor(*profile); });
    EXPECT_GE(share, expected.explained);
    const SequenceCoder coder{KmerTokenizer{KmerVocabulary{}}, profile};
    PackedBatch batch;
    const double packing = seconds([&] { batch = pack(data, coder, all(data)); });
    const auto logs = site_log_frequencies(data, coder, all(data), 110);
    const double loss = site_frequency_loss(logs, data, coder, all(data));
    EXPECT_NEAR(loss, expected.loss, 0.05);
    const auto size = static_cast<double>(data.size());
    std::printf(
        "%s: %.2f %% explained, site-frequency loss %.3f nats per 6-mer; "
        "%.0f records/s anchored, %.0f records/s packed on one thread\n",
        expected.split, 100 * share, loss, size / anchoring, size / packing);
  }
}

TEST_F(SlowRealData, RaggedAnnelidsAreExplainedAndItsIsLeftAlone) {
  Dataset annelids = load("annelida.fasta.gz");
  const auto profile = resolve_anchor("auto", annelids);
  ASSERT_TRUE(profile);
  EXPECT_EQ(profile->length(), 658);
  EXPECT_EQ(profile->codon_start(), 1);
  Dataset its = load("its-yeast.fasta");
  EXPECT_FALSE(resolve_anchor("auto", its));
}

}  // namespace
}  // namespace barcodemae
