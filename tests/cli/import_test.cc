// SPDX-License-Identifier: MIT
// import and export as a user calls them; bad input: exit code 2, at most six lines, nothing left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "run_binary.h"
#include "temporary_folder.h"

namespace barcodemae {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const std::string kGolden = BARCODEMAE_TEST_DATA "/golden/interop/";

class ImportCommand : public testing::Test {
 protected:
  void expect_refused(const std::vector<std::string>& arguments, const std::string& named) {
    const Outcome outcome = run_barcodemae(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(named));
    EXPECT_LE(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 6) << outcome.err;
  }
  TemporaryFolder folder_;
};

TEST_F(ImportCommand, ImportedModelsEmbedAndAreExported) {
  const std::string data =
      folder_.write("data.fasta", ">a\nACGTACGTTGCAACGTTGCA\n>b\nTTGCAACGTACGTACGTACGG\n");
  for (const std::string source :
       {"transformer.pt", "maelm_whole.pt", "bpe_model", "maelm_cls.pt", "with_n.pt"}) {
    const Outcome imported = run_barcodemae({"import", kGolden + source, folder_ / source});
    ASSERT_EQ(imported.exit_code, 0) << imported.err;
    const Outcome info = run_barcodemae({"info", folder_ / source, "--json"});
    EXPECT_EQ(nlohmann::json::parse(info.out)["model"]["tokenizer"]["type"],
              source == "bpe_model" ? "bpe" : "kmer");
    const Outcome embedded = run_barcodemae({"embed", folder_ / source, data, "--precision", "f32",
                                             "--out", folder_ / (source + ".tsv")});
    ASSERT_EQ(embedded.exit_code, 0) << embedded.err;
    const std::string table = read_file(folder_ / (source + ".tsv"));
    EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 3) << table;
    const Outcome exported =
        run_barcodemae({"export", folder_ / source, "--out", folder_ / (source + "-torch"),
                        "--format", "transformers"});
    ASSERT_EQ(exported.exit_code, 0) << exported.err;
    EXPECT_THAT(exported.err, HasSubstr(source.starts_with("maelm") ? "projection, decoder and head"
                                        : source == "bpe_model"     ? "no decoder, no head"
                                                                : "BertForTokenClassification"));
  }
}

TEST_F(ImportCommand, BadInputIsRefused) {
  const std::string out = folder_ / "out";
  expect_refused({"import", folder_ / "none", out}, "no such file");
  expect_refused({"import", kGolden + "legacy.pt", out}, "tools/convert_checkpoint");
  expect_refused({"import", folder_.write("noise.pt", "PK\3\4 nothing"), out}, "noise.pt");
  expect_refused({"import", kGolden + "maelm.pt", out, "--max-bases", "100"}, "--max-bases");
  expect_refused({"import", kGolden + "maelm.pt", out, "--tokenizer", folder_ / "none.json"},
                 "none.json");
  expect_refused({"import", kGolden + "maelm.pt", kGolden}, "it is there already");
  expect_refused({"import", BARCODEMAE_TEST_DATA "/golden", out}, "expected model.safetensors");
  expect_refused({"import", BARCODEMAE_TEST_DATA "/golden/format_1/run", out}, "needs no import");
  EXPECT_THAT(folder_.names(), testing::ElementsAre("noise.pt"));
}

// What is searched and clustered is what `embed` writes.
TEST_F(ImportCommand, ModelsOfBytePairsAreEvaluated) {
  const std::string model = folder_ / "model", data = folder_ / "data.csv";
  ASSERT_EQ(run_barcodemae({"import", kGolden + "bpe_model", model}).exit_code, 0);
  std::string csv = "processid,genus,dna_bin,split,dna_barcode\n";
  unsigned state = 7;
  const auto random = [&](unsigned below) {
    return ((state = state * 1664525 + 1013904223) >> 16) % below;
  };
  std::vector<std::string> templates(3);
  for (std::string& sequence : templates) {
    for (int i = 0; i < 90; ++i) sequence += "ACGT"[random(4)];
  }
  for (int r = 0; r < 90; ++r) {
    const auto genus = static_cast<std::size_t>(r % 3);
    std::string sequence = templates[genus];
    for (int changed = 0; changed < 3; ++changed) sequence[random(90)] = "ACGT"[random(4)];
    csv += "R" + std::to_string(r) + ",G" + std::to_string(genus) + ",B" + std::to_string(genus) +
           (r % 2 == 0 ? ",train," : ",test_unseen,") + sequence + "\n";
  }
  folder_.write("data.csv", csv);
  const auto embed = [&](const std::string& split) {
    const Outcome outcome = run_barcodemae({"embed", model, data, "--split", split, "--precision",
                                            "f32", "--out", folder_ / (split + ".npy")});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  };
  const auto scores = [&](std::vector<std::string> command) {
    command.insert(command.end(), {"--json", folder_ / "scores.json"});
    const Outcome outcome = run_barcodemae(command);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::json::parse(read_file(folder_ / "scores.json"));
  };
  embed("train");
  embed("test_unseen");
  const nlohmann::json knn = scores(
      {"evaluate", "knn", model, data, "--precision", "f32", "--no-cache", "--anchor", "none"});
  const nlohmann::json of_files =
      scores({"evaluate", "knn", "--keys-npy", folder_ / "train.npy", folder_ / "train.tsv",
              "--queries-npy", folder_ / "test_unseen.npy", folder_ / "test_unseen.tsv"});
  EXPECT_EQ(knn["query_count"], 45);
  EXPECT_EQ(knn["rows"][0]["accuracy"], of_files["rows"][0]["accuracy"]);
  EXPECT_GT(knn["rows"][0]["accuracy"].get<double>(), 0.5);
  EXPECT_EQ(knn["rows"].size(), 3u) << "model, random encoder, 6-mer counts";
  EXPECT_EQ(knn["made_by"]["model"], model);
  EXPECT_NE(knn["made_by"]["model_fingerprint"], knn["made_by"]["data_fingerprint"]);
  EXPECT_FALSE(of_files["made_by"].contains("model"));
  const nlohmann::json clusters =
      scores({"evaluate", "clustering", model, data, "--splits", "test_unseen", "--reduce", "none",
              "--precision", "f32", "--no-cache"});
  const nlohmann::json clusters_of_files =
      scores({"evaluate", "clustering", "--npy", folder_ / "test_unseen.npy",
              folder_ / "test_unseen.tsv", "--reduce", "none"});
  EXPECT_EQ(clusters["clusters"], 3);
  EXPECT_EQ(clusters["rows"][0]["ami"], clusters_of_files["rows"][0]["ami"]);
  EXPECT_GT(clusters["rows"][0]["ami"].get<double>(), 0.1);
  EXPECT_EQ(clusters["rows"].size(), 3u) << "model, random encoder, 6-mer counts";
}

TEST_F(ImportCommand, PretrainingOnBytePairs) {
  std::string fasta;
  const std::string bases = "ACGT";
  unsigned state = 1;
  for (int r = 0; r < 60; ++r) {
    fasta += ">R" + std::to_string(r) + "\n";
    for (int i = 0; i < 200; ++i) fasta += bases[(state = state * 1664525 + 1013904223) >> 30];
    fasta += "\n";
  }
  const std::string data = folder_.write("data.fasta", fasta);
  const std::string pairs = kGolden + "bpe_whitespace.json";
  const std::vector<std::string> command = {
      "pretrain", data,      "--out", folder_ / "run", "--preset", "tiny",        "--steps",
      "4",        "--batch", "8",     "--tokenizer",   pairs,      "--precision", "f32"};
  expect_refused(command, "--anchor none");
  std::vector<std::string> complete = command;
  complete.insert(complete.end(), {"--anchor", "none"});
  const Outcome trained = run_barcodemae(complete);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const Outcome embedded = run_barcodemae(
      {"embed", folder_ / "run", data, "--precision", "f32", "--out", folder_ / "x.tsv"});
  ASSERT_EQ(embedded.exit_code, 0) << embedded.err;
  complete.insert(complete.end(), {"--head", "base"});
  complete[3] = folder_ / "other";
  expect_refused(complete, "--head kmer");
}

}  // namespace
}  // namespace barcodemae
