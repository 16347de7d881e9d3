// SPDX-License-Identifier: MIT
#include "evaluation/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "communication/single_process.h"
#include "evaluation/published.h"
#include "formats/npy.h"
#include "temporary_folder.h"
#include "user_error.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

/// Six species of three genera of two families; vectors near their species' direction. Species 5 is
/// in test_unseen alone, beside its sister 4.
class TableOfEmbeddings : public testing::Test {
 protected:
  void SetUp() override {
    std::string table = "processid,order,family,genus,species,dna_bin,split,dna_barcode\n";
    for (int i = 0; i < 120; ++i) {
      const int species = i % 6;
      const std::string split = species == 5        ? "test_unseen"
                                : i % 12 < 6        ? "train"
                                : (i / 12) % 2 == 0 ? "val"
                                                    : "test";
      RandomSequence random(7, Stream::kSimulate, 0, static_cast<std::uint32_t>(i));
      std::string sequence(60, 'A');
      for (char& base : sequence) base = "ACGT"[random.below(4)];
      records_.push_back({"R" + std::to_string(i), split, species});
      table += records_.back().id + ",Ord," + family(species) + "," + genus(species) + ",Sp" +
               std::to_string(species) + ",BOLD:" + std::to_string(species) + "," + split + "," +
               sequence + "\n";
    }
    std::ofstream(data()) << table;
    options_.tasks = {TableTask::kUnseen,     TableTask::kSpecies, TableTask::kLinear,
                      TableTask::kClustering, TableTask::kWard,    TableTask::kMap};
    options_.umap.components = 3;
    options_.umap.epochs = 50;
    options_.cells = folder_ / "cells";
    options_.baselines.names = {"kmer", "aligned"};
    options_.features.anchor = "none";
    options_.map_rank = Rank::kGenus;
    write("k", "train");
    write("q", "val test test_unseen");
  }

  static std::string genus(int species) { return "Gen" + std::to_string(species / 2); }
  static std::string family(int species) { return "Fam" + std::to_string(species / 4); }
  fs::path data() const { return folder_ / "data.csv"; }

  /// Vectors and labels of some splits; `shift`: the label of one row is another's.
  void write(const std::string& name, const std::string& splits, int shift = 0) {
    Matrix vectors{0, 8, {}};
    std::string labels = "id\tgenus\n";
    for (const Record& record : records_) {
      if (splits.find(record.split) == std::string::npos ||
          (record.split == "test" && (" " + splits + " ").find(" test ") == std::string::npos)) {
        continue;
      }
      ++vectors.rows;
      RandomSequence random(9, Stream::kInitialisation, 0,
                            static_cast<std::uint32_t>(vectors.rows));
      for (int c = 0; c < 8; ++c) {
        vectors.values.push_back(static_cast<float>(
            (c == record.species ? 1 : 0) + (c == 6 + record.species / 4 ? 1 : 0) +
            (record.species == 5 && c == 4 ? 0.5 : 0) + 0.02 * random.normal()));
      }
      labels += record.id + "\t" + genus((record.species + shift) % 6) + "\n";
    }
    write_npy(folder_ / (name + ".npy"), vectors);
    std::ofstream(folder_ / (name + ".tsv")) << labels;
  }
  std::string text(const std::string& keys = "k", const std::string& queries = "q") const {
    return "mine=" + (folder_ / (keys + ".npy")).string() + "," +
           (folder_ / (keys + ".tsv")).string() + "," + (folder_ / (queries + ".npy")).string() +
           "," + (folder_ / (queries + ".tsv")).string();
  }
  TableResult made() {
    return evaluate_table(parse_table_sources({text()}), data(), options_, alone_);
  }
  std::string refusal(const std::vector<std::string>& sources) {
    return user_error(
        [&] { evaluate_table(parse_table_sources(sources), data(), options_, alone_); });
  }

  struct Record {
    std::string id, split;
    int species;
  };
  std::vector<Record> records_;
  TemporaryFolder folder_;
  TableOptions options_;
  SingleProcess alone_;
};

TEST_F(TableOfEmbeddings, LabelsThatTheDataLackLeaveCellsEmpty) {
  options_.published = false;
  options_.map_rank = Rank::kKingdom;
  options_.cluster_rank = Rank::kKingdom;
  const TableRow mine = made().rows.at(0);
  EXPECT_TRUE(mine.unseen && mine.species && mine.linear);
  EXPECT_FALSE(mine.clustering || mine.ward || mine.map);
  EXPECT_EQ(mine.note, "no kingdom labels (--cluster-rank); no kingdom labels (--map-rank)");
}

TEST_F(TableOfEmbeddings, IsScored) {
  options_.published = false;
  options_.probe.batch = 1024;
  const TableResult result = made();
  const TableRow& mine = result.rows.at(0);
  EXPECT_EQ(mine.name, "mine");
  EXPECT_EQ(mine.kind, TableRow::Kind::kEmbeddings);
  EXPECT_DOUBLE_EQ(mine.unseen->accuracy, 1) << "the sister species is nearest";
  EXPECT_EQ(mine.unseen->queries, 20);
  EXPECT_EQ(mine.unseen->train, 50);
  EXPECT_DOUBLE_EQ(mine.species->accuracy, 1);
  EXPECT_DOUBLE_EQ(mine.linear->accuracy, 1);
  EXPECT_EQ(mine.ward->records, mine.clustering->records);
  EXPECT_NEAR(mine.ward->ami, 1, 1e-9);
  EXPECT_DOUBLE_EQ(*mine.shown.harmonic_mean, harmonic_mean(1, mine.clustering->ami));
  EXPECT_FALSE(mine.cost) << "nobody embeds anything here";
  ASSERT_TRUE(mine.map);
  EXPECT_EQ(mine.map->rank, "genus");
  EXPECT_EQ(mine.map->x.size(), static_cast<std::size_t>(mine.ward->records));
  // The genus that most of them have is that of the unseen species.
  EXPECT_EQ(mine.map->labels.at(0), "Gen2");

  const TableRow& counts = result.rows.at(1);
  EXPECT_EQ(counts.name, "6-mer counts");
  ASSERT_TRUE(counts.unseen && counts.linear && counts.ward);
  EXPECT_FALSE(counts.map);
  // Bases are random: most answers are wrong, and some of these are of the right family.
  ASSERT_FALSE(counts.species->wrong.empty());
  EXPECT_EQ(counts.species->wrong.front().rank, Rank::kGenus);
  for (const StillRight& count : counts.species->wrong) {
    EXPECT_EQ(count.compared, counts.species->queries - counts.species->correct);
  }
  const StillRight& order = counts.species->wrong.back();
  EXPECT_EQ(order.rank, Rank::kOrder);
  EXPECT_EQ(order.right, order.compared) << "there is one order";

  EXPECT_THAT(result.to_text(), HasSubstr("what wrong answers still get right"));
  EXPECT_THAT(result.to_csv(), HasSubstr("\nmine,embeddings,1.000000,1.000000,1.000000,,"));
  const auto json = result.to_json();
  EXPECT_EQ(json["rows"][0]["ward"]["labels"], 6);
}

TEST_F(TableOfEmbeddings, GoesOnWhereItEnded) {
  options_.published = false;
  options_.tasks = {TableTask::kUnseen};
  const TableResult first = made();
  EXPECT_EQ(first.reused, 0);
  options_.tasks.insert(TableTask::kSpecies);
  const TableResult second = made();
  EXPECT_EQ(second.reused, 2) << "a cell of the embeddings, one of the counts";
  const TableResult third = made();
  EXPECT_EQ(third.reused, 4);
  EXPECT_EQ(third.to_csv(), second.to_csv());
  // A damaged cell is computed again; so is one of other vectors.
  for (const auto& entry : fs::directory_iterator(options_.cells)) {
    if (entry.path().filename().string().starts_with("unseen")) std::ofstream(entry.path()) << "{";
  }
  EXPECT_EQ(made().reused, 2);
  EXPECT_EQ(made().reused, 4);
  write("q", "test test_unseen");
  EXPECT_EQ(made().reused, 2) << "the counts alone";
}

TEST_F(TableOfEmbeddings, LeavesEmptyWhatCannotBeAnswered) {
  write("q", "test_unseen");
  options_.baselines.names.clear();
  const TableResult result = made();
  const TableRow& mine = result.rows.at(0);
  EXPECT_TRUE(mine.unseen);
  EXPECT_FALSE(mine.species || mine.linear || mine.clustering || mine.map);
  EXPECT_FALSE(mine.shown.harmonic_mean);
  EXPECT_THAT(mine.note, HasSubstr("no vectors of all records of test"));
}

TEST_F(TableOfEmbeddings, DevelopmentStaysAwayFromTheTest) {
  options_.test = "val";
  options_.development = true;
  options_.published = false;
  options_.tasks = {TableTask::kLinear};
  const TableResult result = made();
  EXPECT_DOUBLE_EQ(result.rows.at(0).linear->accuracy,
                   result.rows.at(0).linear->validation_accuracy);
  EXPECT_THAT(result.to_text(), HasSubstr("in development"));
  options_.development = false;
  EXPECT_THAT(refusal({text()}), HasSubstr("what is chosen by is no test"));
}

TEST_F(TableOfEmbeddings, MismatchesAreNamed) {
  EXPECT_THAT(refusal({text(), text()}), HasSubstr("two rows would be called mine"));
  EXPECT_THAT(refusal({"no-such-model"}), HasSubstr("no-such-model"));
  EXPECT_THAT(refusal({"mine=a.npy,b.tsv"}), HasSubstr("NAME=K.npy,K.tsv,Q.npy,Q.tsv"));
  EXPECT_THAT(refusal({"=coi-small"}), HasSubstr("NAME=MODEL"));
  write("shifted", "val test test_unseen", 2);
  EXPECT_THAT(refusal({text("k", "shifted")}), HasSubstr("shifted.tsv:2: the genus of R"));
  EXPECT_THAT(refusal({text("k", "k")}), HasSubstr("has a vector already"));
  std::ofstream(folder_ / "q.tsv") << "id\tgenus\nR1\tGen0\n";
  EXPECT_THAT(refusal({text()}), HasSubstr("1 rows"));
  std::ofstream(folder_ / "k.tsv") << "genus\nGen0\n";
  EXPECT_THAT(refusal({text()}), HasSubstr("no column id"));
  write("k", "train");
  write("q", "test_unseen");
  std::string ids = read_file(folder_ / "q.tsv");
  std::ofstream(folder_ / "q.tsv") << ids.replace(ids.find("\nR5\t"), 4, "\nX5\t");
  EXPECT_THAT(refusal({text()}), HasSubstr("id X5 is no record of the data"));
}

TEST(PublishedRows, NameTheirSource) {
  ASSERT_FALSE(published_rows().empty());
  for (const PublishedRow& row : published_rows()) {
    EXPECT_FALSE(row.source.empty()) << row.name;
    for (const auto& value : {row.unseen, row.linear, row.finetuned}) {
      if (value) {
        EXPECT_TRUE(*value > 0 && *value < 1) << row.name << ": a share, no percent";
      }
    }
  }
  EXPECT_EQ(harmonic_mean(0, 0), 0);
  EXPECT_DOUBLE_EQ(harmonic_mean(0.5, 1), 2.0 / 3);
}

}  // namespace
}  // namespace barcodemae
