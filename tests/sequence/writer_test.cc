// SPDX-License-Identifier: MIT
#include "sequence/writer.h"

#include <filesystem>

#include "reading.h"
#include "temporary_folder.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using ::testing::HasSubstr;

Record make_record(const std::string& id) {
  Record record;
  record.id = id;
  record.sequence = "ACGTRN" + std::string(600, 'A');
  record.label(Rank::kClass) = "Insecta";
  record.label(Rank::kOrder) = "Diptera";
  record.label(Rank::kFamily) = "Sciaridae";
  record.label(Rank::kGenus) = "Sciara";
  record.label(Rank::kSpecies) = "Sciara una";
  record.label(Rank::kBin) = "BOLD:AAA1234";
  record.country = "Congo, \"Dem.\" Rep.";
  record.split = "train";
  return record;
}

class WriterFormats : public ::testing::TestWithParam<const char*> {};

TEST_P(WriterFormats, IsReadBack) {
  const TemporaryFolder folder;
  const auto path = folder / (std::string("records") + GetParam());
  const std::vector<Record> records = {make_record("a"), make_record("b"), make_record("c")};
  RecordWriter writer(path);
  writer.write(writer.encode(std::span(records).first(2)));
  writer.write(writer.encode(std::span(records).last(1)));
  EXPECT_FALSE(std::filesystem::exists(path)) << "before it is complete";
  writer.commit();

  RecordReader reader(path);
  Record record;
  for (const Record& expected : records) {
    ASSERT_TRUE(reader.next(record));
    EXPECT_EQ(record.id, expected.id);
    EXPECT_EQ(record.sequence, expected.sequence);
    const bool fasta = std::string(GetParam()).starts_with(".fa");
    for (std::size_t rank = 0; rank < kRankCount; ++rank) {
      if (fasta && static_cast<Rank>(rank) == Rank::kBin) continue;
      EXPECT_EQ(record.labels[rank], expected.labels[rank]);
    }
    if (!fasta) {
      EXPECT_EQ(record.country, expected.country);
      EXPECT_EQ(record.split, expected.split);
    }
  }
  EXPECT_FALSE(reader.next(record));
}

INSTANTIATE_TEST_SUITE_P(All, WriterFormats,
                         ::testing::Values(".csv", ".tsv", ".fasta", ".csv.gz", ".csv.zst",
                                           ".fa.gz"));

TEST(Writer, EndingThatNamesNoFormatIsAnError) {
  for (const char* path : {"x.txt", "x.json.gz", "x.csv.bz2"}) {
    EXPECT_THAT(user_error([&] { RecordWriter{path}; }), HasSubstr("names no format")) << path;
  }
}

TEST(Writer, DeviceIsWrittenToAndNotReplaced) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "skipped: there is no /dev/full";
  EXPECT_THAT(user_error([] { RecordWriter("/dev/full"); }), HasSubstr("No space left"));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

}  // namespace
}  // namespace barcodemae
