// SPDX-License-Identifier: MIT
// FASTA, its header conventions, and FASTQ.
#include "reading.h"
#include "sequence/fasta_header.h"

namespace barcodemae {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct HeaderCase {
  const char* header;
  const char* id;
  const char* kingdom;
  const char* family;
  const char* genus;
  const char* species;
  const char* bin;
};

class FastaHeader : public ::testing::TestWithParam<HeaderCase> {};

TEST_P(FastaHeader, GivesIdAndLabels) {
  const HeaderCase& expected = GetParam();
  Record record;
  record.label(Rank::kGenus) = "left over from the record before";
  parse_fasta_header(expected.header, record);
  EXPECT_EQ(record.id, expected.id);
  EXPECT_EQ(record.label(Rank::kKingdom), expected.kingdom);
  EXPECT_EQ(record.label(Rank::kFamily), expected.family);
  EXPECT_EQ(record.label(Rank::kGenus), expected.genus);
  EXPECT_EQ(record.label(Rank::kSpecies), expected.species);
  EXPECT_EQ(record.label(Rank::kBin), expected.bin);
}

INSTANTIATE_TEST_SUITE_P(Plain, FastaHeader,
                         ::testing::Values(HeaderCase{"X1 Aus bus voucher 7", "X1", "", "", "", "",
                                                      ""},
                                           HeaderCase{"X1\tanything", "X1", "", "", "", "", ""},
                                           HeaderCase{"X1;size=12;", "X1", "", "", "", "", ""},
                                           HeaderCase{"", "", "", "", "", "", ""}));
INSTANTIATE_TEST_SUITE_P(
    Sintax, FastaHeader,
    ::testing::Values(HeaderCase{"X1;tax=d:Eukaryota,f:Apidae,g:Apis,s:Apis_mellifera;", "X1",
                                 "Eukaryota", "Apidae", "Apis", "Apis mellifera", ""},
                      HeaderCase{"X1;size=3;tax=k:Animalia,d:Eukaryota,g:Apis", "X1", "Animalia",
                                 "", "Apis", "", ""},
                      HeaderCase{"X1;tax=d:Eukaryota,k:Animalia,t:strain,g:NA;", "X1", "Animalia",
                                 "", "", "", ""}));
INSTANTIATE_TEST_SUITE_P(
    Unite, FastaHeader,
    ::testing::Values(
        HeaderCase{"KY1|k__Fungi;p__Ascomycota;f__Xaceae;g__Candida;s__Candida_alba|SH12.09FU",
                   "KY1", "Fungi", "Xaceae", "Candida", "Candida alba", "SH12.09FU"},
        HeaderCase{"KY1|k__Fungi;f__unidentified;g__Candida;s__Candida_sp|SH12.09FU", "KY1",
                   "Fungi", "", "Candida", "", "SH12.09FU"},
        HeaderCase{"Candida_alba|KY1|SH12.09FU|reps|k__Fungi;g__Candida;s__Candida_alba", "KY1",
                   "Fungi", "", "Candida", "Candida alba", "SH12.09FU"}));
INSTANTIATE_TEST_SUITE_P(
    BarcodeBert, FastaHeader,
    ::testing::Values(
        HeaderCase{"P1|Apis|Apis mellifera", "P1", "", "", "Apis", "Apis mellifera", ""},
        HeaderCase{"P1|Apis|Apis_mellifera", "P1", "", "", "Apis", "Apis mellifera", ""},
        HeaderCase{"P1|Apis|mellifera", "P1", "", "", "Apis", "Apis mellifera", ""},
        HeaderCase{"P1|Apis|", "P1", "", "", "Apis", "", ""},
        HeaderCase{"P1||Apis mellifera", "P1", "", "", "Apis", "Apis mellifera", ""},
        HeaderCase{"P1||", "P1", "", "", "", "", ""}));
INSTANTIATE_TEST_SUITE_P(
    Bold, FastaHeader,
    ::testing::Values(HeaderCase{"P1 |Apis mellifera", "P1", "", "", "Apis", "Apis mellifera", ""},
                      HeaderCase{"P1 |Apis", "P1", "", "", "Apis", "", ""},
                      HeaderCase{"P1 |Apis sp.", "P1", "", "", "Apis", "", ""},
                      HeaderCase{"P1|Apis sp. 1ABC|COI-5P|GU1", "P1", "", "", "Apis",
                                 "Apis sp. 1ABC", ""},
                      HeaderCase{"P1|Apidae|COI-5P|GU1", "P1", "", "", "", "", ""},
                      HeaderCase{"P1|Apidae|COI-5P", "P1", "", "", "", "", ""}));
INSTANTIATE_TEST_SUITE_P(
    Dada2, FastaHeader,
    ::testing::Values(HeaderCase{"Animalia;Arthropoda;Insecta;Hymenoptera;Apidae;Apis;", "",
                                 "Animalia", "Apidae", "Apis", "", ""},
                      HeaderCase{
                          "Animalia;Arthropoda;Insecta;Hymenoptera;Apidae;Apis;Apis mellifera", "",
                          "Animalia", "Apidae", "Apis", "Apis mellifera", ""}));

INSTANTIATE_TEST_SUITE_P(
    Lineage, FastaHeader,
    ::testing::Values(
        HeaderCase{"Animalia;Arthropoda;Insecta;Hymenoptera;Apidae;Apis;mellifera", "", "Animalia",
                   "Apidae", "Apis", "Apis mellifera", ""},
        HeaderCase{"Animalia;Arthropoda;Insecta;Hymenoptera;Apidae;Apis;Apis_sp.;", "", "Animalia",
                   "Apidae", "Apis", "", ""},
        HeaderCase{"X1\tRoot;Animalia;Arthropoda;Insecta;Hymenoptera;Apidae;Apis", "X1", "Animalia",
                   "Apidae", "Apis", "", ""},
        HeaderCase{"X1.1.90 Animalia;Arthropoda;Insecta;Hymenoptera;Apidae;Apis;Apis mellifera",
                   "X1.1.90", "Animalia", "Apidae", "Apis", "Apis mellifera", ""},
        HeaderCase{"X1 k__Fungi; p__A; c__B; o__C; f__Xaceae; g__Candida; s__Candida_alba", "X1",
                   "Fungi", "Xaceae", "Candida", "Candida alba", ""},
        HeaderCase{"X1.1.<1.>658###root_1;Eukaryota_2759;Arthropoda_6656;Insecta_50557;"
                   "Hymenoptera_7399;Apidae_7458;Apis_7459;Apis mellifera_7460",
                   "X1.1.<1.>658", "Eukaryota", "Apidae", "Apis", "Apis mellifera", ""},
        HeaderCase{"X1.1###root_1;Eukaryota_2759;Arthropoda_6656;Insecta_50557;order_Insecta_50557;"
                   "family_Insecta_50557;Apis_7459;Apis sp._1",
                   "X1.1", "Eukaryota", "", "Apis", "", ""},
        HeaderCase{"X1;tax=k:Eukaryota_2759,f:Apidae_7458,g:Apis_7459,s:Apis_mellifera_7460", "X1",
                   "Eukaryota", "Apidae", "Apis", "Apis mellifera", ""},
        HeaderCase{"X1 Apis mellifera", "X1", "", "", "Apis", "Apis mellifera", ""},
        HeaderCase{"X1 Apis sp.", "X1", "", "", "Apis", "", ""}));
INSTANTIATE_TEST_SUITE_P(
    Placeholders, FastaHeader,
    ::testing::Values(HeaderCase{"P1|not_classified|not_classified", "P1", "", "", "", "", ""},
                      HeaderCase{"P1|Apis|not_classified", "P1", "", "", "Apis", "", ""}));

TEST(FastaHeaders, KnowWhenLabelsMayBeLost) {
  Record record;
  for (const char* known : {"X1", "", "X1;size=3;", "X1;tax=;", "X1;tax=g:Apis", "P1||", "P1|Apis|",
                            "X1 Apis mellifera", "A;B;C;D;", "U1|k__Fungi;g__|SH12.09FU"}) {
    EXPECT_TRUE(parse_fasta_header(known, record)) << known;
  }
  for (const char* unknown : {"X1 Apis mellifera voucher 7", "X1 mitochondrion", "X1;tax=2034;",
                              "P1|Apidae|COI-5P", "P1|COI-5P", "gb|MN1.1| Apis mellifera isolate 7",
                              "X1 isolate a; voucher b; country c; date d"}) {
    EXPECT_FALSE(parse_fasta_header(unknown, record)) << unknown;
    for (const std::string& label : record.labels) EXPECT_EQ(label, "") << unknown;
  }
  const Reading reading = read_text(">a b c d\nACGT\n>b\nACGT\n>c;tax=g:Aus\nACGT\n>d e\n\n");
  EXPECT_EQ(reading.report.unread_headers, 1);
  EXPECT_THAT(reading.report.summary("x"), HasSubstr("1 with a FASTA header of no known form"));
}

TEST(Fasta, JoinsLinesOfASequenceAndKnowsItsFirstLine) {
  const Reading reading = read_text("\n>a\nACGT\nAC GT\n\nTT\n>b\nGGG");
  EXPECT_THAT(ids(reading), ElementsAre("a", "b"));
  EXPECT_THAT(sequences(reading), ElementsAre("ACGTACGTTT", "GGG"));
  EXPECT_EQ(reading.records[0].line, 2);
  EXPECT_EQ(reading.records[1].line, 7);
  EXPECT_FALSE(reading.has_splits);
}

TEST(Fasta, RecordWithoutAnIdIsNamedByItsPlace) {
  const Reading reading = read_text(">\nACGT\n>b\nACGT\n>A;B;C;D;\nAC\n");
  EXPECT_THAT(ids(reading), ElementsAre("record1", "b", "record3"));
  EXPECT_EQ(reading.report.duplicate_ids, 0);
}

TEST(Fastq, ReadsFourLinesARecord) {
  // The second quality line begins like a record.
  const Reading reading = read_text("@a x\nACGT\n+\nIIII\n@b|Aus|Aus bus\nGGT\n+b\n@II\n");
  EXPECT_THAT(ids(reading), ElementsAre("a", "b"));
  EXPECT_THAT(sequences(reading), ElementsAre("ACGT", "GGT"));
  EXPECT_EQ(reading.records[1].label(Rank::kSpecies), "Aus bus");
  EXPECT_EQ(reading.records[1].line, 5);
}

TEST(Fastq, GoesOnAfterADamagedRecord) {
  const Reading reading =
      read_text("@a\nACGT\n+\nIIII\n@b\nACGT\n+\nII\n@c\nGGT\n+\nIII\r\n@d\nACG\n+\n");
  EXPECT_THAT(ids(reading), ElementsAre("a", "c"));
  ASSERT_EQ(reading.report.skips.size(), 2u);
  EXPECT_EQ(reading.report.skips[0].line, 5);
  EXPECT_EQ(reading.report.skips[0].id, "b");
  EXPECT_THAT(reading.report.skips[0].reason, HasSubstr("differ in number"));
  EXPECT_EQ(reading.report.skips[1].line, 13);
  EXPECT_THAT(reading.report.skips[1].reason, HasSubstr("ends within the record"));
}

}  // namespace
}  // namespace barcodemae
