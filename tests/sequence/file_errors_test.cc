// SPDX-License-Identifier: MIT
// Files that cannot be used: what the user is told.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "reading.h"
#include "temporary_folder.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(FileErrors, MissingFile) {
  EXPECT_THAT(user_error([] { RecordReader("/nowhere/x.csv"); }),
              StartsWith("/nowhere/x.csv: there is no such file"));
}

TEST(FileErrors, Directory) {
  EXPECT_THAT(user_error([] { RecordReader{std::filesystem::temp_directory_path()}; }),
              HasSubstr("is a directory"));
}

TEST(FileErrors, NoPermission) {
  if (::geteuid() == 0) GTEST_SKIP() << "skipped: root may read everything";
  const TemporaryFolder folder;
  const auto path = folder / "unreadable.csv";
  std::ofstream(path) << "id,sequence\na,ACGT\n";
  std::filesystem::permissions(path, std::filesystem::perms::none);
  EXPECT_THAT(user_error([&] { RecordReader{path}; }), HasSubstr("no permission"));
}

struct FileCase {
  std::string_view text;
  const char* message;
};

class UnusableFile : public ::testing::TestWithParam<FileCase> {};

TEST_P(UnusableFile, SaysWhatWasExpected) {
  const std::string message = user_error([] { read_text(GetParam().text); });
  EXPECT_THAT(message, StartsWith("text"));
  EXPECT_THAT(message, HasSubstr(GetParam().message));
  EXPECT_THAT(message, HasSubstr("xpected"));
}

using std::string_view_literals::operator""sv;

INSTANTIATE_TEST_SUITE_P(
    Cases, UnusableFile,
    ::testing::Values(
        FileCase{"", "is empty"}, FileCase{" \n\r\n\n", "is empty"},
        FileCase{"\x7f"
                 "ELF\x02\x01\x00\x00"sv,
                 "is binary"},
        FileCase{"id,sequence\na,AC\0GT\n"sv, "is binary"},
        FileCase{"PK\x03\x04xx", "a zip archive"}, FileCase{"BZh91AY", "bzip2"},
        FileCase{"\xff\xfei\0d\0"sv, "UTF-16"}, FileCase{"<html>", "HTML"},
        FileCase{"{\"a\": 1}", "JSON"}, FileCase{">a\rACGT\r>b\rGG\r", "lines end with CR alone"},
        FileCase{"hello world\n", "'hello world' begins neither FASTA"},
        FileCase{"id,genus,barcode length\na,Aus,658\n",
                 "line 1: no column holds sequences.\nFound 3 columns: id, genus, barcode length."},
        FileCase{"id,\"sequence\nACGT\n", "line 1: the header cannot be read"},
        FileCase{"id,sequence\n", "no record follows the header"},
        FileCase{"id,sequence\n\n\n", "no record follows the header"},
        FileCase{">a\n>b\n>c\n",
                 "line 1: not one of 3 records can be used; the first: no sequence"},
        FileCase{"\nid,sequence\na,\nb,XX\n",
                 "line 3: not one of 2 records can be used; the first: no sequence"},
        FileCase{"@a\nACGT\nIIII\n", "line 1: not one of 1 records can be used"}));

TEST(FileErrors, BytesOfTheFileAreShownSafely) {
  const std::string message =
      user_error([] { read_text("\x1b[31m" + std::string(5000, 'x') + "\xff\n"); });
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_LT(message.size(), 500u);
}

TEST(File, ProgressIsCountedInBytesOfTheFile) {
  const TemporaryFolder folder;
  const auto path = folder / "progress.fasta";
  std::ofstream(path) << ">a\nACGT\n>b\nGG\n";
  RecordReader reader(path);
  EXPECT_EQ(reader.bytes_total(), 14);
  for (Record record; reader.next(record);) {
  }
  EXPECT_EQ(reader.bytes_read(), 14);
}

TEST(File, MayBeLeftBeforeItsEnd) {
  const TemporaryFolder folder;
  const auto path = folder / "left.fasta";
  std::ofstream stream(path);
  for (int i = 0; i < 100000; ++i) stream << ">r" << i << '\n' << std::string(100, 'A') << '\n';
  stream.close();
  RecordReader reader(path);
  Record record;
  EXPECT_TRUE(reader.next(record));
}  // the reading thread still has 6 MB before it, and stops

}  // namespace
}  // namespace barcodemae
