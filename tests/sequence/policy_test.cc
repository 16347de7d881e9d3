// SPDX-License-Identifier: MIT
// What is done to sequences, and how it is counted.
#include "reading.h"
#include "sequence/line_reader.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Policy, PlainUpperCaseIsUntouchedAndUncounted) {
  const Reading reading = read_text(">a\nACGT\n>b\nNACGT\n");
  EXPECT_THAT(sequences(reading), ElementsAre("ACGT", "NACGT"));
  EXPECT_EQ(reading.report.records, 2);
  EXPECT_EQ(reading.report.lower_case, 0);
  EXPECT_EQ(reading.report.ambiguous, 1);
  EXPECT_EQ(reading.report.trailing_n, 0);
  EXPECT_EQ(read_text(">a\nACGT\n").report.summary("f"), "");
}

TEST(Policy, EachTreatmentIsCountedOncePerRecord) {
  struct Case {
    const char* text;
    const char* sequence;
    std::int64_t ReadReport::*counter;
  };
  for (const Case& c :
       {Case{"acGTaa", "ACGTAA", &ReadReport::lower_case},
        Case{"ACGUU", "ACGTT", &ReadReport::uracil}, Case{"--AC.G-T--", "ACGT", &ReadReport::gaps},
        Case{"ACGTNNN", "ACGT", &ReadReport::trailing_n},
        Case{"ACRYSWKMBDHVNT", "ACRYSWKMBDHVNT", &ReadReport::ambiguous}}) {
    const Reading reading = read_text(std::string(">a\n") + c.text + "\n>b\nACGT\n");
    EXPECT_THAT(sequences(reading), ElementsAre(c.sequence, "ACGT"));
    const ReadReport& report = reading.report;
    const std::int64_t all =
        report.lower_case + report.uracil + report.gaps + report.trailing_n + report.ambiguous;
    EXPECT_EQ(report.*c.counter, 1) << c.text;
    EXPECT_EQ(all, 1) << c.text;
  }
}

TEST(Policy, EitherLineEnd) {
  const Reading crlf = read_text("id,sequence\r\na,ACGT\r\nb,GG\r\n");
  EXPECT_THAT(ids(crlf), ElementsAre("a", "b"));
  EXPECT_THAT(sequences(crlf), ElementsAre("ACGT", "GG"));
  EXPECT_EQ(crlf.report.summary("f"), "");
  EXPECT_THAT(sequences(read_text(">a\r\nAC\r\nGT\r\n")), ElementsAre("ACGT"));
}

TEST(Policy, UnusableSequencesAreSkippedWithTheReason) {
  const Reading reading =
      read_text(">a\nACGT\n>b\n>c\nNNNnn\n>d\nACXT\n>e\n----\n>f\nAC\x01T\n>g\nACGT\n");
  EXPECT_THAT(ids(reading), ElementsAre("a", "g"));
  std::vector<std::string> reasons;
  for (const ReadReport::Skip& skip : reading.report.skips) reasons.push_back(skip.reason);
  EXPECT_THAT(reasons, ElementsAre("no sequence", "nothing but N", "'X' stands for no base",
                                   "no sequence", "byte 0x01 stands for no base"));
}

TEST(Policy, DuplicateIdsAreCountedAndKept) {
  std::string text = ">a\nACGT\n>a\nACGT\n>b\nAC\n>a\nGG\n";
  for (int i = 0; i < 3000; ++i) text += ">n" + std::to_string(i) + "\nAC\n";
  const Reading reading = read_text(text);
  EXPECT_EQ(reading.report.duplicate_ids, 2);
  EXPECT_EQ(reading.records.size(), 3004u);
}

TEST(Policy, SequenceBeyondMemoryIsSkipped) {
  std::string text = ">a\nACGT\n>genome\n";
  const std::string line(std::size_t{1} << 20, 'A');
  for (std::size_t i = 0; i <= LineReader::kMaxTextBytes >> 20; ++i) (text += line) += '\n';
  text += ">b\nGG\n";
  const Reading reading = read_text(text);
  EXPECT_THAT(ids(reading), ElementsAre("a", "b"));
  EXPECT_THAT(reading.report.skips[0].reason, HasSubstr("too long"));
}

TEST(Policy, LineBeyondMemoryIsAnError) {
  const std::string text =
      ">a\nACGT\n>b\n" + std::string(LineReader::kMaxTextBytes + (1 << 20), 'A');
  EXPECT_THAT(user_error([&] { read_text(text); }), HasSubstr("line 4: a line of more than 64 MB"));
}

}  // namespace
}  // namespace barcodemae
