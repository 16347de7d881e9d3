// SPDX-License-Identifier: MIT
#include "data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "records.h"
#include "temporary_folder.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_data::make_record;

Dataset three_records() {
  Dataset data;
  data.append(make_record("a", "ACGTRYSWKMBDHVN", "Apis", "train"));
  data.append(make_record("b", "TTT", "", "val"));
  data.append(make_record("c", "", "Bombus", "train"));
  data.append(make_record("d", "GATTACA", "Apis", "train"));
  return data;
}

TEST(Dataset, KeepsWhatItIsGiven) {
  const Dataset data = three_records();
  ASSERT_EQ(data.size(), 4);
  EXPECT_EQ(data.id(3), "d");
  EXPECT_EQ(data.sequence(0), "ACGTRYSWKMBDHVN");
  EXPECT_EQ(data.sequence(1), "TTT");
  EXPECT_EQ(data.sequence(2), "");
  EXPECT_EQ(data.sequence(3), "GATTACA");
  EXPECT_EQ(data.length(0), 15);
  EXPECT_EQ(data.label(0, Rank::kGenus), data.label(3, Rank::kGenus));
  EXPECT_EQ(data.label_name(Rank::kGenus, data.label(2, Rank::kGenus)), "Bombus");
  EXPECT_EQ(data.label(1, Rank::kGenus), -1);
  EXPECT_EQ(data.label(0, Rank::kSpecies), -1);
  EXPECT_EQ(data.label_count(Rank::kGenus), 2);
  EXPECT_EQ(data.split(1), "val");
  EXPECT_THAT(data.records_of_split("train"), ElementsAre(0, 2, 3));
  EXPECT_THAT(data.records_of_split("test"), IsEmpty());
}

TEST(Dataset, FingerprintNamesTheContent) {
  const std::string fingerprint = three_records().fingerprint();
  EXPECT_EQ(three_records().fingerprint(), fingerprint);
  for (const Record& other :
       {make_record("e", "GATTACA", "Apis", "train"), make_record("d", "GATTACG", "Apis", "train"),
        make_record("d", "GATTACAN", "Apis", "train"),
        make_record("d", "GATTACA", "Bombus", "train"),
        make_record("d", "GATTACA", "Apis", "val")}) {
    Dataset data;
    data.append(make_record("a", "ACGTRYSWKMBDHVN", "Apis", "train"));
    data.append(make_record("b", "TTT", "", "val"));
    data.append(make_record("c", "", "Bombus", "train"));
    data.append(other);
    EXPECT_NE(data.fingerprint(), fingerprint);
  }
}

class DatasetLoad : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& text) {
    const auto path = folder_ / name;
    std::ofstream(path) << text;
    return path;
  }
  static Dataset load(const std::filesystem::path& path, std::vector<std::string> splits) {
    return Dataset::load(path, {.splits = std::move(splits), .progress = false});
  }
  static std::string message_of(const std::filesystem::path& path, const std::string& split) {
    return user_error([&] { load(path, {split}); });
  }

  const TemporaryFolder folder_;
};

TEST_F(DatasetLoad, KeepsTheSplitsAskedFor) {
  const auto path = write("splits.csv",
                          "processid,genus,split,dna_barcode\n"
                          "a,Apis,pretrain,ACGTACGT\nb,,train,ACGTAC\nc,Apis,test,ACG-TAN\n");
  const Dataset all = load(path, {});
  EXPECT_EQ(all.size(), 3);
  EXPECT_TRUE(all.has_splits());
  EXPECT_EQ(all.sequence(2), "ACGTA");
  EXPECT_EQ(all.report().records, 3);
  const Dataset some = load(path, {"test", "pretrain"});
  ASSERT_EQ(some.size(), 2);
  EXPECT_EQ(some.id(1), "c");
  EXPECT_THAT(message_of(path, "val"), HasSubstr("pretrain, test, train"));
  Dataset::LoadOptions options;
  options.splits = {"train"};
  options.optional_splits = {"val", "test"};
  options.progress = false;
  const Dataset optional = Dataset::load(path, options);
  EXPECT_EQ(optional.size(), 2);
}

TEST_F(DatasetLoad, RefusesSplitsOfAFileWithoutThem) {
  const auto path = write("plain.fasta", ">a\nACGTACGT\n");
  EXPECT_FALSE(load(path, {}).has_splits());
  EXPECT_THAT(message_of(path, "train"), HasSubstr("no column \"split\""));
}

}  // namespace
}  // namespace barcodemae
