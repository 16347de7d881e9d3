// SPDX-License-Identifier: MIT
// Distinct barcodes in splits, from records in every form they are filed in.
#include "prepare/prepare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "temporary_folder.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

struct Prepared {
  PrepareAccount account;
  std::string text;  ///< as written
  std::vector<Record> records = {};

  const Record* find(const std::string& id) const {
    const auto found = std::find_if(records.begin(), records.end(),
                                    [&](const Record& record) { return record.id == id; });
    return found == records.end() ? nullptr : &*found;
  }
  /// "id species split" of each record, "-" where there is none.
  std::vector<std::string> rows() const {
    std::vector<std::string> rows;
    const auto or_dash = [](const std::string& name) { return name.empty() ? "-" : name; };
    for (const Record& record : records) {
      rows.push_back(record.id + " " + or_dash(record.label(Rank::kSpecies)) + " " +
                     or_dash(record.split));
    }
    return rows;
  }
};

class Prepare : public testing::Test {
 protected:
  Prepared run(const std::string& text, PrepareOptions options = {},
               const std::string& name = "in.csv") {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    options.input = folder_ / name;
    options.out = folder_ / "out.csv";
    Prepared prepared{.account = prepare(options), .text = read_file(options.out)};
    RecordReader reader(options.out);
    for (Record record; reader.next(record);) prepared.records.push_back(record);
    EXPECT_EQ(static_cast<std::int64_t>(prepared.records.size()), prepared.account.written);
    return prepared;
  }
  std::string error(const std::string& text, const PrepareOptions& options) {
    return user_error([&] { run(text, options); });
  }
  TemporaryFolder folder_;
};

std::string bases(std::mt19937& random, int length) {
  std::string sequence;
  for (int i = 0; i < length; ++i) sequence += "ACGT"[random() >> 30];
  return sequence;
}

constexpr const char* kHeader = "processid,genus,species,dna_bin,country,dna_barcode";

/// Rows under kHeader: 40 genera of six species of up to nine barcodes, each filed one to four
/// times, some with labels that disagree or are missing, some without an id; and some that are not
/// identified.
std::vector<std::string> filed_rows() {
  std::mt19937 random(7);
  std::vector<std::string> rows;
  int count = 0;
  const auto file = [&](const std::string& genus, const std::string& species,
                        const std::string& bin, const std::string& sequence) {
    const std::string id = random() % 20 == 0 ? "" : "P" + std::to_string(++count);
    const std::string country = random() % 2 == 0 ? "Peru" : "Chad";
    rows.push_back(id + "," + genus + "," + species + "," + bin + "," + country + "," + sequence);
  };
  for (int g = 0; g < 40; ++g) {
    const std::string genus = "Genus" + std::to_string(g);
    for (int s = 0; s < 6; ++s) {
      const std::string species = genus + " s" + std::to_string(s);
      const std::string bin = "BIN" + std::to_string(g) + "-" + std::to_string(s / (1 + g % 2));
      const unsigned barcodes = 1 + random() % 9;
      for (unsigned b = 0; b < barcodes; ++b) {
        const std::string sequence = bases(random, 60);
        const unsigned copies = 1 + random() % 4;
        for (unsigned c = 0; c < copies; ++c) {
          const unsigned kind = random() % 12;
          if (kind == 0) {
            file(genus, "", bin, sequence);
          } else if (kind == 1) {
            file(genus, genus + " s" + std::to_string(random() % 6), "", sequence);
          } else {
            file(genus, species, bin, sequence);
          }
        }
      }
    }
    for (int u = 0; u < 5; ++u) {
      const std::string bin = "BIN" + std::to_string(g) + "-" + std::to_string(u);
      file(u % 2 == 0 ? genus : "", "", bin, bases(random, 60));
    }
  }
  return rows;
}

std::string joined(const std::vector<std::string>& rows, const std::string& header = kHeader) {
  std::string text = header + "\n";
  for (const std::string& row : rows) text += row + "\n";
  return text;
}

std::vector<std::string> sorted_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  return lines;
}

PrepareOptions with_unseen(double share, std::uint64_t seed = 0) {
  PrepareOptions options;
  options.new_splits.unseen_species = share;
  options.new_splits.seed = seed;
  return options;
}

TEST_F(Prepare, TheOrderOfTheFileDecidesNothing) {
  std::vector<std::string> rows = filed_rows();
  const Prepared first = run(joined(rows), with_unseen(0.2));
  EXPECT_GT(first.account.conflicts.species, 50);
  EXPECT_GT(first.account.conflicts.species_by_majority, 0);
  EXPECT_LT(first.account.conflicts.species_by_majority, first.account.conflicts.species);
  EXPECT_GT(first.account.unnamed, 50);
  for (unsigned seed = 0; seed < 5; ++seed) {
    std::shuffle(rows.begin(), rows.end(), std::mt19937(seed));
    const Prepared shuffled = run(joined(rows), with_unseen(0.2));
    EXPECT_NE(shuffled.text, first.text);
    EXPECT_EQ(sorted_lines(shuffled.text), sorted_lines(first.text));
    EXPECT_EQ(shuffled.account.to_text(), first.account.to_text());
  }
}

TEST_F(Prepare, NorDoesItWithSplitsOfItsOwn) {
  std::vector<std::string> rows = filed_rows();
  for (std::size_t i = 0; i < rows.size(); ++i) {  // a sequence may be filed under several
    rows[i] += i % 3 == 0 ? ",train" : i % 3 == 1 ? ",pretrain" : ",test_unseen";
  }
  PrepareOptions options;
  options.splits = SplitSource::kOwn;
  const std::string header = kHeader + std::string(",split");
  const Prepared first = run(joined(rows, header), options);
  for (unsigned seed = 0; seed < 5; ++seed) {
    std::shuffle(rows.begin(), rows.end(), std::mt19937(seed));
    const Prepared shuffled = run(joined(rows, header), options);
    EXPECT_NE(shuffled.text, first.text);
    EXPECT_EQ(sorted_lines(shuffled.text), sorted_lines(first.text));
  }
}

TEST_F(Prepare, UnseenSpeciesAreUnseenAndTheirGeneraAreKeys) {
  const Prepared prepared = run(joined(filed_rows()), with_unseen(0.2));
  std::map<std::string, std::set<std::string>> splits_of_species, splits_of_bin, splits_of_sequence;
  std::map<std::string, std::set<std::string>> genera;
  for (const Record& record : prepared.records) {
    if (const std::string& species = record.label(Rank::kSpecies); !species.empty()) {
      splits_of_species[species].insert(record.split);
    } else {
      EXPECT_EQ(record.split, "pretrain");
    }
    splits_of_bin[record.label(Rank::kBin)].insert(record.split);
    EXPECT_TRUE(splits_of_sequence[record.sequence].insert(record.split).second);
    EXPECT_EQ(splits_of_sequence[record.sequence].size(), 1u);
    genera[record.split].insert(record.label(Rank::kGenus));
  }
  std::map<std::string, int> unseen;
  for (const auto& [species, splits] : splits_of_species) {
    const std::string& split = *splits.begin();
    if (split.ends_with("_unseen")) {
      EXPECT_THAT(splits, ElementsAre(split)) << species;
      ++unseen[split];
    } else {
      EXPECT_TRUE(splits.contains("train")) << species;
    }
  }
  EXPECT_EQ(unseen["val_unseen"] + unseen["test_unseen"], prepared.account.made.unseen);
  EXPECT_EQ(prepared.account.made.unseen, prepared.account.made.unseen_wanted);
  EXPECT_EQ(prepared.account.made.unseen, (prepared.account.made.species + 2) / 5);
  EXPECT_EQ(unseen["val_unseen"], prepared.account.made.unseen / 3);  // as --val to --test
  for (const char* split : {"val_unseen", "test_unseen"}) {
    for (const std::string& genus : genera[split]) EXPECT_TRUE(genera["train"].contains(genus));
  }
  splits_of_bin.erase("");
  for (const auto& [bin, splits] : splits_of_bin) {
    if (splits.contains("val_unseen") || splits.contains("test_unseen")) {
      EXPECT_EQ(splits.size(), 1u) << bin;
    }
  }
  EXPECT_GT(prepared.account.made.near_unseen, 0);
  EXPECT_EQ(prepared.account.unseen_in_train, 0);
}

TEST_F(Prepare, SeedsChooseOtherSpeciesOfTheSameNumber) {
  const std::string text = joined(filed_rows());
  const auto unseen = [&](std::uint64_t seed) {
    std::set<std::string> species;
    for (const Record& record : run(text, with_unseen(0.1, seed)).records) {
      if (record.split.ends_with("_unseen")) species.insert(record.label(Rank::kSpecies));
    }
    return species;
  };
  EXPECT_EQ(unseen(1), unseen(1));
  EXPECT_EQ(unseen(1).size(), unseen(2).size());
  EXPECT_NE(unseen(1), unseen(2));
}

TEST_F(Prepare, SeenSpeciesAreDividedByTheShares) {
  std::mt19937 random(1);
  std::vector<std::string> rows;
  for (int s = 0; s < 300; ++s) {
    for (int b = 0; b < 1 + s % 20; ++b) {
      rows.push_back("P,G,G s" + std::to_string(s) + ",,," + bases(random, 80));
    }
  }
  PrepareOptions options;
  options.new_splits.val = 0.2;
  options.new_splits.test = 0.3;
  std::map<std::string, std::map<std::string, int>> counts;
  std::map<std::string, int> totals;
  for (const Record& record : run(joined(rows), options).records) {
    ++counts[record.label(Rank::kSpecies)][record.split];
    ++totals[record.split];
  }
  ASSERT_EQ(counts.size(), 300u);
  for (auto& [species, splits] : counts) {
    const int all = splits["train"] + splits["val"] + splits["test"];
    EXPECT_GE(splits["train"], 1) << species;
    EXPECT_LE(std::abs(splits["test"] - 0.3 * all), 1.0) << species;
    EXPECT_LE(std::abs(splits["val"] - 0.2 * all), 1.0) << species;
  }
  const auto all = static_cast<double>(rows.size());
  EXPECT_NEAR(totals["test"] / all, 0.3, 0.02);
  EXPECT_NEAR(totals["val"] / all, 0.2, 0.02);
  EXPECT_FALSE(totals.contains("pretrain"));
}

TEST_F(Prepare, RecordsOfABarcodeVoteOnItsLabels) {
  const std::string header = "id,family,genus,species,bin,seq";
  const auto label = [&](const std::vector<std::string>& rows) {
    const Prepared prepared = run(joined(rows, header));
    EXPECT_EQ(prepared.records.size(), 1u);
    const Record& record = prepared.records.at(0);
    return record.id + ": " + record.label(Rank::kFamily) + "/" + record.label(Rank::kGenus) + "/" +
           record.label(Rank::kSpecies) + "/" + record.label(Rank::kBin);
  };
  // The most complete stands for all; gaps are filled by those who agree.
  EXPECT_EQ(label({"a,F,,,,ACGT", "b,F,Aus,Aus bus,B1,ACGT"}), "b: F/Aus/Aus bus/B1");
  // More than half of those that name a rank decide it, and then what is above it.
  EXPECT_EQ(label({"a,F1,Aus,Aus bus,,ACGT", "b,F2,Cus,Cus dus,,ACGT", "c,F2,Cus,Cus dus,,ACGT"})
                .substr(1),
            ": F2/Cus/Cus dus/");
  EXPECT_EQ(label({"a,F1,Aus,Aus bus,,ACGT", "b,F2,Cus,,,ACGT", "c,F2,Cus,,,ACGT"}),
            "a: F1/Aus/Aus bus/");
  // No majority: no name, here and wherever they disagree.
  EXPECT_EQ(
      label({"a,F,Aus,Aus bus,B1,ACGT", "b,F,Aus,Aus cus,B2,ACGT", "c,F,,,B1,ACGT"}).substr(1),
      ": F/Aus//B1");
  EXPECT_EQ(label({"a,F,Aus,Aus bus,,ACGT", "b,F,Cus,Cus dus,,ACGT"}).substr(1), ": F///");
}

TEST_F(Prepare, AContestedBarcodeOfAnUnseenSpeciesIsLeftOut) {
  // One of the two species is held out; a barcode filed under both may be of either.
  const Prepared prepared =
      run(joined({"a,Aus,Aus bus,,,ACGTA", "b,Aus,Aus cus,,,ACGTC", "c,Aus,Aus bus,,,TTTTT",
                  "d,Aus,Aus cus,,,TTTTT", "e,Dus,,,,GGGGG"}),
          with_unseen(0.5));
  EXPECT_EQ(prepared.account.made.unseen, 1);
  EXPECT_EQ(prepared.account.made.contested_unseen, 1);
  EXPECT_EQ(prepared.records.size(), 3u);
  EXPECT_THAT(prepared.account.to_text(),
              HasSubstr("1 left out: some of their records name an unseen"));
}

TEST_F(Prepare, AMajorityKeepsNoBarcodeOfAnUnseenSpeciesInTrain) {
  // TTTTT is of one species by two records to one, CCCCC of the other: whichever is held out, one
  // of them is of a seen species and names the unseen one.
  const Prepared prepared =
      run(joined({"a,Aus,Aus bus,,,ACGTA", "b,Aus,Aus cus,,,ACGTC", "c,Aus,Aus bus,,,TTTTT",
                  "d,Aus,Aus bus,,,TTTTT", "e,Aus,Aus cus,,,TTTTT", "f,Aus,Aus cus,,,CCCCC",
                  "g,Aus,Aus cus,,,CCCCC", "h,Aus,Aus bus,,,CCCCC"}),
          with_unseen(0.5));
  EXPECT_EQ(prepared.account.made.unseen, 1);
  EXPECT_EQ(prepared.account.conflicts.species_by_majority, 2);
  EXPECT_EQ(prepared.account.made.contested_unseen, 1);
  const bool bus_is_seen = prepared.find("a")->split == "train";
  const std::string seen = bus_is_seen ? "ACGTA" : "ACGTC";
  int train = 0, unseen = 0;
  for (const Record& record : prepared.records) {
    ++(record.split == "train" ? train : unseen);
    EXPECT_EQ(record.split == "train", record.sequence == seen) << record.sequence;
  }
  EXPECT_EQ(train, 1);
  EXPECT_EQ(unseen, 2);
}

// A species all of whose barcodes may be of another keeps no genus in train.
TEST_F(Prepare, ADisputedSpeciesDoesNotStandForItsGenus) {
  const std::string text = joined({"a,Aus,Aus bus,,,ACGTA", "b,Aus,Aus cus,,,TTTTT",
                                   "c,Aus,Aus cus,,,TTTTT", "d,Aus,Aus bus,,,TTTTT"});
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    // Only Aus cus can be held out: without TTTTT it would not be in train.
    EXPECT_THAT(run(text, with_unseen(0.5, seed)).rows(),
                ElementsAre("a Aus bus train", testing::EndsWith(" Aus cus test_unseen")));
  }
}

constexpr const char* kBioscanHeader =
    "processid,sampleid,taxon,phylum,class,order,family,subfamily,genus,species,dna_bin,"
    "dna_barcode,country,province_state,coord-lat,coord-lon,image_measurement_value,area_fraction,"
    "scale_factor,inferred_ranks,split,index_bioscan_1M_insect,chunk";

std::string bioscan_row(const std::string& id, const std::string& genus, const std::string& species,
                        const std::string& barcode, const std::string& split) {
  return id + ",S," + species + ",Arthropoda,Insecta,Diptera,Fidae,," + genus + "," + species +
         ",BOLD:AAA0001," + barcode + ",Canada,Ontario,43.5,-80.2,1234,0.5,1.0,," + split + ",,7";
}

/// BIOSCAN-5M's splits, with barcodes that several of them have.
std::string bioscan() {
  return joined(
      {
          bioscan_row("p1", "", "", "AAAA", "pretrain"),
          bioscan_row("h1", "Aus", "Aus sp1", "CCCC", "other_heldout"),
          bioscan_row("t1", "Aus", "Aus bus", "GGGGNN", "train"),
          bioscan_row("t2", "Aus", "Aus bus", "GGGG", "train"),
          bioscan_row("t3", "Aus", "Aus cus", "TTTT", "train"),
          bioscan_row("v1", "Aus", "Aus bus", "ACAC", "val"),
          bioscan_row("e1", "Aus", "Aus cus", "TTTTN", "test"),
          bioscan_row("e2", "Aus", "Aus cus", "AGAG", "test"),
          bioscan_row("k1", "Aus", "Aus dus", "ATAT", "key_unseen"),
          bioscan_row("w1", "Aus", "Aus dus", "CGCG", "validation"),
          bioscan_row("u1", "Aus", "Aus eus", "CTCT", "test_unseen"),
          bioscan_row("x1", "Aus", "Aus fus", "GTGT", ""),
      },
      kBioscanHeader);
}

std::map<std::string, std::vector<std::int64_t>> split_counts(const Prepared& prepared) {
  std::map<std::string, std::vector<std::int64_t>> counts;
  for (const SplitAccount& split : prepared.account.splits) {
    counts[split.name] = {split.records, split.distinct, split.barcodes, split.species};
  }
  return counts;
}

TEST_F(Prepare, KeepsTheSplitsOfBioscan) {
  const Prepared prepared = run(bioscan(), {.splits = SplitSource::kOwn});
  EXPECT_THAT(
      split_counts(prepared),
      UnorderedElementsAre(
          Pair("pretrain", ElementsAre(1, 1, 1, 0)), Pair("other_heldout", ElementsAre(1, 1, 1, 1)),
          Pair("train", ElementsAre(3, 2, 1, 1)), Pair("val", ElementsAre(2, 2, 2, 2)),
          Pair("test", ElementsAre(2, 2, 2, 1)), Pair("key_unseen", ElementsAre(1, 1, 1, 1)),
          Pair("test_unseen", ElementsAre(1, 1, 1, 1))));
  // What train and test have both is tested and not trained on.
  EXPECT_EQ(prepared.find("t3"), nullptr);
  EXPECT_EQ(prepared.find("e1")->split, "test");
  EXPECT_EQ(prepared.find("h1")->label(Rank::kPhylum), "Arthropoda");
  EXPECT_EQ(prepared.account.conflicts.splits, 1);
  EXPECT_EQ(prepared.account.without_split, 1);
}

TEST_F(Prepare, KeepsTheFirstInTheFileAsTheReferenceDoes) {
  const Prepared prepared =
      run(bioscan(), {.splits = SplitSource::kOwn, .duplicates = Duplicates::kFirstInFile});
  EXPECT_THAT(prepared.rows(),
              ElementsAre("p1 - pretrain", "h1 Aus sp1 other_heldout", "t1 Aus bus train",
                          "t3 Aus cus train", "v1 Aus bus val", "e2 Aus cus test",
                          "k1 Aus dus key_unseen", "w1 Aus dus val", "u1 Aus eus test_unseen"));
  EXPECT_THAT(prepared.account.to_text(), HasSubstr("are in several splits: the first record's"));
}

TEST_F(Prepare, WarnsOfUnseenSpeciesInTrain) {
  const Prepared prepared = run(joined({bioscan_row("a", "Aus", "Aus bus", "AAAA", "train"),
                                        bioscan_row("b", "Aus", "Aus bus", "CCCC", "test_unseen")},
                                       kBioscanHeader),
                                {.splits = SplitSource::kOwn});
  EXPECT_EQ(prepared.account.unseen_in_train, 1);
  EXPECT_THAT(prepared.account.to_text(), HasSubstr("warning: 1 species"));
}

TEST_F(Prepare, ASpeciesThatNamesNoneIsLeftEmpty) {
  const std::string table =
      "id,genus,species,split,seq\nA,Aus,Aus sp.,train,ACGTAC\n"
      "B,Aus,Aus sp. 1,train,ACGTTT\nC,UNKNOWN,None,train,ACGGGG\n";
  const Prepared made = run(table);
  EXPECT_EQ(made.account.no_species, 1);
  EXPECT_EQ(made.find("A")->label(Rank::kSpecies), "");
  EXPECT_EQ(made.find("B")->label(Rank::kSpecies), "Aus sp. 1");
  EXPECT_EQ(made.find("C")->label(Rank::kGenus), "");
  EXPECT_THAT(made.account.to_text(), HasSubstr("Aus sp."));
  PrepareOptions own;
  own.splits = SplitSource::kOwn;
  EXPECT_EQ(run(table, own).find("A")->label(Rank::kSpecies), "Aus sp.") << "labels as filed";
}

TEST_F(Prepare, ReadsCanadianInvertebrates) {
  const std::string text =
      "processid,sampleid,dna_bin,phylum,class,order,family,genus,species,dna_barcode,sequence_len,"
      "split\n"
      "C1,S1,BOLD:AAA0001,Annelida,Clitellata,,,,,ACGT,4,pretrain\n"
      "C2,S2,BOLD:AAA0002,Annelida,Clitellata,,Lidae,Lus,Lus mus,AACC,4,train\n"
      "C3,S3,BOLD:AAA0003,Annelida,Clitellata,,Lidae,Lus,Lus nus,GGTT,4,test_unseen\n";
  EXPECT_THAT(run(text, {.splits = SplitSource::kOwn}).rows(),
              ElementsAre("C1 - pretrain", "C2 Lus mus train", "C3 Lus nus test_unseen"));
  const Prepared made = run(text);
  EXPECT_THAT(made.rows(), ElementsAre("C1 - pretrain", "C2 Lus mus train", "C3 Lus nus train"));
  EXPECT_THAT(made.account.to_text(), HasSubstr("--splits own keeps them"));
}

TEST_F(Prepare, ReadsOneMarkerOfBold) {
  const std::vector<std::string> fields = {"processid",
                                           "sampleid",
                                           "fieldid",
                                           "museumid",
                                           "record_id",
                                           "specimenid",
                                           "processid_minted_date",
                                           "bin_uri",
                                           "bin_created_date",
                                           "collection_code",
                                           "inst",
                                           "taxid",
                                           "kingdom",
                                           "phylum",
                                           "class",
                                           "order",
                                           "family",
                                           "subfamily",
                                           "tribe",
                                           "genus",
                                           "species",
                                           "subspecies",
                                           "species_reference",
                                           "identification",
                                           "identification_method",
                                           "identification_rank",
                                           "identified_by",
                                           "identifier_email",
                                           "taxonomy_notes",
                                           "sex",
                                           "reproduction",
                                           "life_stage",
                                           "short_note",
                                           "notes",
                                           "voucher_type",
                                           "tissue_type",
                                           "specimen_linkout",
                                           "associated_specimens",
                                           "associated_taxa",
                                           "collectors",
                                           "collection_date_start",
                                           "collection_date_end",
                                           "collection_event_id",
                                           "collection_time",
                                           "collection_notes",
                                           "geoid",
                                           "country/ocean",
                                           "country_iso",
                                           "province/state",
                                           "region",
                                           "sector",
                                           "site",
                                           "site_code",
                                           "coord",
                                           "coord_accuracy",
                                           "coord_source",
                                           "elev",
                                           "elev_accuracy",
                                           "depth",
                                           "depth_accuracy",
                                           "habitat",
                                           "sampling_protocol",
                                           "nuc",
                                           "nuc_basecount",
                                           "insdc_acs",
                                           "funding_src",
                                           "marker_code",
                                           "primers_forward",
                                           "primers_reverse",
                                           "sequence_run_site",
                                           "sequence_upload_date",
                                           "bold_recordset_code_arr",
                                           "ecoregion",
                                           "biome",
                                           "realm",
                                           "sovereign_inst",
                                           "created_at",
                                           "updated_at"};
  ASSERT_EQ(fields.size(), 78u);
  std::string text;
  for (const std::string& field : fields) text += (text.empty() ? "" : "\t") + field;
  text += "\n";
  const auto file = [&](std::map<std::string, std::string> values) {
    std::string row;
    for (const std::string& field : fields) {
      if (!row.empty() || field != "processid") row += "\t";
      row += values.contains(field) ? values[field] : "None";
    }
    text += row + "\n";
  };
  file({{"processid", "A1"},
        {"species", "Aus bus"},
        {"genus", "Aus"},
        {"kingdom", "Animalia"},
        {"bin_uri", "BOLD:AAA1234"},
        {"marker_code", "COI-5P"},
        {"nuc", "--acgu-NN"},
        {"country/ocean", "Canada"},
        {"notes", "a \"quoted\" word"}});
  file({{"processid", "A1"}, {"species", "Aus bus"}, {"marker_code", "CYTB"}, {"nuc", "ACCA"}});
  file({{"processid", "A2"}, {"marker_code", "COI-5P"}, {"nuc", "GGRG"}});
  file({{"processid", "A3"}, {"marker_code", "COI-5P"}});
  const Prepared coi = run(text, {}, "bold.tsv");
  EXPECT_THAT(coi.rows(), ElementsAre("A1 Aus bus train", "A2 - pretrain"));
  EXPECT_EQ(coi.records[0].sequence, "ACGT");
  EXPECT_EQ(coi.records[0].country, "Canada");
  EXPECT_EQ(coi.records[0].label(Rank::kKingdom), "Animalia");
  const std::string account = coi.account.to_text();
  EXPECT_THAT(account, HasSubstr("bold.tsv: 4 records read, 2 used"));
  EXPECT_THAT(account, HasSubstr("1 skipped: no sequence"));
  EXPECT_THAT(account, HasSubstr("1 left out: of another marker"));
  EXPECT_THAT(run(text, {.marker_code = "CYTB"}, "bold.tsv").rows(),
              ElementsAre("A1 Aus bus train"));
}

TEST_F(Prepare, ReadsEveryKindOfFastaHeader) {
  const Prepared prepared =
      run(">S1;tax=k:Animalia,g:Aus,s:Aus_bus;\nAAAAA\n"
          ">Animalia;Arthropoda;Insecta;Diptera;Fidae;Aus;cus\nCCCCC\n"
          ">D1 Aus dus\nGGGGG\n"
          ">U1|k__Fungi;g__Eus;s__Eus_fus|SH12.09FU\nTTTTT\n"
          ">B1|Gus|Gus hus\nACACA\n"
          ">N1 isolate 7 from a stream\nAGAGA\n",
          {}, "in.fasta");
  std::vector<std::string> rows = prepared.rows();
  ASSERT_EQ(rows.size(), 6u);
  EXPECT_THAT(rows[1], testing::MatchesRegex("barcode-[0-9a-f]{16} Aus cus train"));
  rows.erase(rows.begin() + 1);
  EXPECT_THAT(rows, ElementsAre("S1 Aus bus train", "D1 Aus dus train", "U1 Eus fus train",
                                "B1 Gus hus train", "N1 - pretrain"));
  EXPECT_EQ(prepared.account.unnamed, 1);
  EXPECT_THAT(prepared.account.to_text(), HasSubstr("1 with a FASTA header of no known form"));
}

TEST_F(Prepare, LengthAndAmbiguityAreLimitedAndCounted) {
  const std::string text =
      joined({"a,G,G s,,,ACGT", "b,G,G s,,,ACGTACGTAC", "c,G,G s,,,ACGTACGTNRA"});
  EXPECT_THAT(run(text, {.min_length = 5}).rows(),
              ElementsAre(testing::StartsWith("b "), testing::StartsWith("c ")));
  const Prepared both = run(text, {.min_length = 5, .max_ambiguous = 0.15});
  EXPECT_EQ(both.records.size(), 1u);
  EXPECT_EQ(both.account.too_short, 1);
  EXPECT_EQ(both.account.too_ambiguous, 1);
  EXPECT_EQ(run(text, {.max_ambiguous = 2.0 / 11}).records.size(), 3u);
  EXPECT_THAT(error(text, {.min_length = 50}), HasSubstr("nothing is left of 3 records"));
}

TEST_F(Prepare, SaysWhatItCannotDo) {
  const std::string text = joined({"a,G,G s,,,ACGT"});
  EXPECT_THAT(error(text, {.splits = SplitSource::kOwn}), HasSubstr("no column \"split\""));
  EXPECT_THAT(error(text, with_unseen(0.5)), HasSubstr("holds out no species of 1"));
  EXPECT_THAT(error("id,split,seq\na,,ACGT\n", {.splits = SplitSource::kOwn}), HasSubstr("empty"));
  std::string many = "id,split,seq\n";
  for (int i = 0; i < 100; ++i) many += "a,s" + std::to_string(i) + ",ACGT\n";
  EXPECT_THAT(error(many, {.splits = SplitSource::kOwn}), HasSubstr("line 65"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out.csv"));
}

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kMemoryIsInflated = true;
#elif defined(__has_feature)
constexpr bool kMemoryIsInflated = __has_feature(address_sanitizer);
#else
constexpr bool kMemoryIsInflated = false;
#endif

std::int64_t peak_memory_kb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST_F(Prepare, MemoryDoesNotGrowWithRecordsThatRepeatABarcode) {
  if (kMemoryIsInflated) GTEST_SKIP() << "skipped: the sanitizer's memory hides it";
  std::mt19937 random(3);
  std::vector<std::string> sequences(2000);
  for (std::string& sequence : sequences) sequence = bases(random, 60);
  const auto file = [&](int copies) {
    std::ofstream out(folder_ / "in.csv");
    out << "processid,species,dna_barcode\n";
    for (int copy = 0; copy < copies; ++copy) {
      for (const std::string& sequence : sequences) {
        out << "P" << copy << '-' << &sequence - sequences.data() << ",Aus bus," << sequence
            << '\n';
      }
      for (int bad = 0; bad < 500; ++bad) out << "Q" << copy << ",Aus bus,\n";
    }
  };
  PrepareOptions options;
  options.input = folder_ / "in.csv";
  options.out = folder_ / "out.csv";
  file(60);  // enough to fill what is read ahead
  prepare(options);
  const std::int64_t before = peak_memory_kb();
  file(400);
  const PrepareAccount account = prepare(options);
  EXPECT_EQ(account.used, 800000);
  EXPECT_EQ(account.written, 2000);
  EXPECT_EQ(account.read.skipped, 200000);
  EXPECT_LT(peak_memory_kb() - before, 6000);  // ids alone would be 11 MB
}

}  // namespace
}  // namespace barcodemae
