// SPDX-License-Identifier: MIT
// Public barcodes, where they are at hand (BARCODEMAE_DATA).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>

#include "prepare/prepare.h"
#include "temporary_folder.h"

namespace barcodemae {
namespace {

class SlowRealData : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("BARCODEMAE_DATA");
    if (folder == nullptr) GTEST_SKIP() << "skipped: BARCODEMAE_DATA is not set";
    options_.input = folder;
    options_.out = folder_ / "out.csv.zst";
  }
  PrepareAccount run(const std::string& file) {
    options_.input /= file;
    return prepare(options_);
  }
  TemporaryFolder folder_;
  PrepareOptions options_;
};

TEST_F(SlowRealData, ArthropodsKeepTheirSplits) {
  options_.splits = SplitSource::kOwn;
  const PrepareAccount account = run("coi-arthropoda.csv.zst");
  EXPECT_EQ(account.distinct, account.read.records);
  EXPECT_EQ(account.unseen_in_train, 0);
  std::map<std::string, std::int64_t> written;
  for (const SplitAccount& split : account.splits) written[split.name] = split.barcodes;
  EXPECT_THAT(written, testing::ElementsAre(
                           testing::Pair("pretrain", 404783), testing::Pair("test", 6637),
                           testing::Pair("test_unseen", 8125), testing::Pair("train", 93854),
                           testing::Pair("val", 2023), testing::Pair("val_unseen", 2560)));
}

TEST_F(SlowRealData, ArthropodsGetNewOnes) {
  options_.new_splits.unseen_species = 0.1;
  const PrepareAccount account = run("coi-arthropoda.csv.zst");
  EXPECT_EQ(account.made.unseen, account.made.unseen_wanted);
  EXPECT_EQ(account.unseen_in_train, 0);
  EXPECT_EQ(account.written + account.made.near_unseen, account.distinct);
}

TEST_F(SlowRealData, AnnelidsAreMadeDistinct) {
  const PrepareAccount account = run("annelida.fasta.gz");
  EXPECT_EQ(account.used, 23633);
  EXPECT_EQ(account.written, 13323);
  EXPECT_EQ(account.conflicts.species, 31);
  EXPECT_EQ(account.read.unread_headers, 0);
}

TEST_F(SlowRealData, YeastsOfUnite) {
  options_.new_splits.unseen_species = 0.1;
  const PrepareAccount account = run("its-yeast.fasta");
  EXPECT_EQ(account.used, 4439);
  EXPECT_EQ(account.distinct, 4235);
  EXPECT_GT(account.made.unseen, 100);
  EXPECT_EQ(account.read.unread_headers, 0);
}

}  // namespace
}  // namespace barcodemae
