// SPDX-License-Identifier: MIT
// CSV and TSV: columns by name, quoting, damaged rows.
#include "reading.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Table, FindsBioscanColumnsByName) {
  const Reading reading = read_text(
      "processid,sampleid,phylum,class,order,family,subfamily,genus,species,dna_bin,dna_barcode,"
      "country,split,index_bioscan_1M_insect\n"
      "P1,S1,Arthropoda,Insecta,Diptera,Sciaridae,,Sciara,Sciara una,BOLD:AAA1234,ACGT,Canada,"
      "pretrain,\n"
      "P2,S2,Arthropoda,None,NA,nan,not_classified,,,,AC,NA,validation,7\n");
  ASSERT_EQ(reading.records.size(), 2u);
  const Record& first = reading.records[0];
  EXPECT_EQ(first.id, "P1");
  EXPECT_EQ(first.sequence, "ACGT");
  EXPECT_THAT(first.labels, ElementsAre("", "Arthropoda", "Insecta", "Diptera", "Sciaridae", "",
                                        "Sciara", "Sciara una", "BOLD:AAA1234"));
  EXPECT_EQ(first.country, "Canada");
  EXPECT_EQ(first.split, "pretrain");
  EXPECT_EQ(first.line, 2);
  EXPECT_TRUE(reading.has_splits);
  // Placeholders are no labels; "NA" is Namibia; "validation" is another word for val.
  EXPECT_THAT(reading.records[1].labels, ElementsAre("", "Arthropoda", "", "", "", "", "", "", ""));
  EXPECT_EQ(reading.records[1].country, "NA");
  EXPECT_EQ(reading.records[1].split, "val");
}

TEST(Table, FindsAliases) {
  for (const char* header :
       {"id\tgenus_name\tspecies_name\tbin_uri\tnucleotides", "PROCESSID\tGenus\tSpecies\tBIN\tSeq",
        "sampleid\tgenus\tspecies\tdna_bin\tsequence",
        "Sample ID\tGenus Name\tSpecies Name\tBIN URI\tSequence",
        "\xef\xbb\xbfprocessid\tgenus\tspecies\tbin_uri\tnuc"}) {
    const Reading reading = read_text(std::string(header) + "\nP1\tAus\tAus bus\tB1\tACGT\n");
    ASSERT_EQ(reading.records.size(), 1u) << header;
    EXPECT_EQ(reading.records[0].id, "P1") << header;
    EXPECT_EQ(reading.records[0].label(Rank::kGenus), "Aus") << header;
    EXPECT_EQ(reading.records[0].label(Rank::kSpecies), "Aus bus") << header;
    EXPECT_EQ(reading.records[0].label(Rank::kBin), "B1") << header;
  }
}

TEST(Table, KeepsTheMarkerAskedFor) {
  constexpr const char* kBold =
      "processid\tcountry/ocean\tnuc\tmarker_code\nP1\tCanada\tACGT\tCOI-5P\nP1\tCanada\tGG\tCYTB\n"
      "P2\tPeru\tAC--GT\tCOI-5P\n";
  const Reading reading = read_text(kBold);
  EXPECT_THAT(ids(reading), ElementsAre("P1", "P2"));
  EXPECT_THAT(sequences(reading), ElementsAre("ACGT", "ACGT"));
  EXPECT_EQ(reading.records[1].country, "Peru");
  EXPECT_EQ(reading.report.other_markers, 1);
  EXPECT_EQ(reading.report.skipped, 0);
  EXPECT_THAT(sequences(read_text(kBold, {.marker_code = "CYTB"})), ElementsAre("GG"));
  EXPECT_EQ(read_text(kBold, {.marker_code = ""}).records.size(), 3u);
  EXPECT_THAT(user_error([&] { read_text(kBold, {.marker_code = "ITS"}); }),
              HasSubstr("marker_code ITS (3 rows have another, such as 'COI-5P')"));
}

TEST(Table, ReadsQuotedFields) {
  const Reading reading = read_text(
      "id,\"spe\"\"cies\",country,sequence\n"
      "\"a,1\",x,\"Congo, \"\"Dem.\"\" Rep.\",ACGT\n"
      "b,\"two\nlines\r\nand more\",,\"AC\nGT\"\n"
      "c,\"\",\"\",\"GG\"\n"
      "d,un\"quoted,,TT\n");
  EXPECT_THAT(ids(reading), ElementsAre("a,1", "b", "c", "d"));
  EXPECT_THAT(sequences(reading), ElementsAre("ACGT", "ACGT", "GG", "TT"));
  EXPECT_EQ(reading.records[0].country, "Congo, \"Dem.\" Rep.");
  EXPECT_EQ(reading.records[2].line, 7);
  EXPECT_EQ(reading.report.skipped, 0);
}

TEST(Table, QuotesInTsvAreOrdinaryUnlessTheyEncloseAField) {
  const Reading reading = read_text(
      "id\tspecies\tsequence\n\"a\"\t\"say \"\"x\"\"\"\tACGT\nb\t\"open\tACGT\nc\t5\" long\tAC\n");
  EXPECT_THAT(ids(reading), ElementsAre("a", "b", "c"));
  EXPECT_EQ(reading.records[0].label(Rank::kSpecies), "say \"x\"");
  EXPECT_EQ(reading.records[1].label(Rank::kSpecies), "\"open");
  EXPECT_EQ(reading.records[2].label(Rank::kSpecies), "5\" long");
}

TEST(Table, DamagedRowsAreListedAndShiftNothing) {
  const Reading reading = read_text(
      "id,species,sequence\n"
      "a,x,ACGT\n"
      "b,ACGT\n"
      "c,x,ACGT,extra\n"
      "d,\"stray,ACGT\n"
      "e,x,GGGG\n"
      "f,\"x\"y,ACGT\n"
      "\n"
      "g,x,\n"
      "h,x,TTTT");
  EXPECT_THAT(ids(reading), ElementsAre("a", "e", "h"));
  EXPECT_THAT(sequences(reading), ElementsAre("ACGT", "GGGG", "TTTT"));
  EXPECT_EQ(reading.records[1].line, 6);
  EXPECT_EQ(reading.records[2].line, 10);
  std::vector<std::string> skips;
  for (const ReadReport::Skip& skip : reading.report.skips) {
    skips.push_back(std::to_string(skip.line) + " " + skip.id + ": " + skip.reason);
  }
  EXPECT_THAT(skips, ElementsAre("3 b: 2 columns where the header has 3",
                                 "4 c: 4 columns where the header has 3",
                                 "5 d: text follows a closing quote",
                                 "7 f: text follows a closing quote", "9 g: no sequence"));
  EXPECT_EQ(reading.report.skipped, 5);
  EXPECT_THAT(reading.report.summary("x.csv"),
              HasSubstr("x.csv: 5 of 8 records skipped (the first, line 3: 2 columns"));
}

TEST(Table, StrayQuoteDoesNotSwallowTheFile) {
  std::string text = "id,species,sequence\n";
  for (int i = 0; i < 5000; ++i) text += "a" + std::to_string(i) + ",\"x,ACGT\n";
  // A closing quote would be far away: each row is given up alone, in bounded time.
  text += "z,x,ACGT\n";
  const Reading reading = read_text(text);
  EXPECT_EQ(ids(reading).back(), "z");
  EXPECT_EQ(read_text("id,sequence\nb,ACGT\na,\"ACGT\n").report.skips[0].reason,
            "a quote is opened and never closed");
}

TEST(Table, TextIsCleanForTablesAndTerminals) {
  const Reading reading =
      read_text("id,species,sequence\n\"a\tb\x1b[0m\",\"H\xf6hne \xc3\xa9\xff\",ACGT\n");
  EXPECT_EQ(reading.records[0].id, "a b [0m");
  // Bytes that are no UTF-8 are Latin-1.
  EXPECT_EQ(reading.records[0].label(Rank::kSpecies), "H\xc3\xb6hne \xc3\xa9\xc3\xbf");
}

TEST(Table, WithoutIdsRecordsAreNamedByTheirPlace) {
  const Reading reading = read_text("dna_barcode,split\nACGT,train\n,train\nGG,test\n");
  EXPECT_THAT(ids(reading), ElementsAre("record1", "record3"));
}

}  // namespace
}  // namespace barcodemae
