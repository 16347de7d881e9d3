// SPDX-License-Identifier: MIT
// Public barcodes, where they are at hand (BARCODEMAE_DATA).
#include <cstdlib>
#include <map>
#include <set>

#include "reading.h"

namespace barcodemae {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class RealData : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("BARCODEMAE_DATA");
    if (folder == nullptr) GTEST_SKIP() << "skipped: BARCODEMAE_DATA is not set";
    folder_ = folder;
  }
  std::filesystem::path folder_;
};
using SlowRealData = RealData;

TEST_F(RealData, AnnelidsFromBold) {
  RecordReader reader(folder_ / "annelida.fasta.gz");
  std::set<std::string> genera, species;
  std::int64_t bases = 0;
  for (Record record; reader.next(record);) {
    genera.insert(record.label(Rank::kGenus));
    species.insert(record.label(Rank::kSpecies));
    bases += static_cast<std::int64_t>(record.sequence.size());
    ASSERT_FALSE(record.label(Rank::kGenus).empty()) << record.id;
  }
  EXPECT_EQ(reader.report().records, 23633);
  EXPECT_EQ(reader.report().skipped, 0);
  EXPECT_EQ(reader.report().ambiguous, 183);
  EXPECT_EQ(bases, 14999754);
  EXPECT_EQ(genera.size(), 75u);
  // 175 names, 64 of them a genus alone or with "sp."; one "species" is the empty one.
  EXPECT_EQ(species.size(), 111u);
}

TEST_F(RealData, YeastsFromUnite) {
  RecordReader reader(folder_ / "its-yeast.fasta");
  std::int64_t kingdoms = 0, hypotheses = 0;
  for (Record record; reader.next(record);) {
    kingdoms += record.label(Rank::kKingdom) == "Fungi";
    hypotheses += record.label(Rank::kBin).starts_with("SH");
    EXPECT_FALSE(record.label(Rank::kSpecies).ends_with(" sp")) << record.id;
  }
  EXPECT_EQ(reader.report().records, 4439);
  EXPECT_EQ(kingdoms, 4439);
  EXPECT_EQ(hypotheses, 4439);
}

TEST_F(SlowRealData, ArthropodsWithSplits) {
  RecordReader reader(folder_ / "coi-arthropoda.csv.zst");
  EXPECT_TRUE(reader.has_splits());
  std::map<std::string, int> splits;
  std::set<std::string> train_species;
  for (Record record; reader.next(record);) {
    ++splits[record.split];
    ASSERT_FALSE(record.label(Rank::kGenus).empty()) << record.id;
    if (record.split == "train") train_species.insert(record.label(Rank::kSpecies));
  }
  EXPECT_THAT(splits,
              ElementsAre(Pair("pretrain", 404783), Pair("test", 6637), Pair("test_unseen", 8125),
                          Pair("train", 93854), Pair("val", 2023), Pair("val_unseen", 2560)));
  EXPECT_EQ(train_species.size(), 16591u);
  EXPECT_EQ(reader.report().skipped, 0);
  EXPECT_EQ(reader.report().duplicate_ids, 0);
  EXPECT_EQ(reader.bytes_read(), reader.bytes_total());
}

}  // namespace
}  // namespace barcodemae
