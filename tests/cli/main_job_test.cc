// SPDX-License-Identifier: MIT
// The main job end to end: simulate, pretrain, embed, evaluate, with the files each leaves behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "backend/backends.h"
#include "formats/npy.h"
#include "run_binary.h"
#include "temporary_folder.h"

namespace barcodemae {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

/// Runs a command that is to succeed.
Outcome run(const std::vector<std::string>& arguments) {
  const Outcome outcome = run_barcodemae(arguments);
  EXPECT_EQ(outcome.exit_code, 0) << arguments[0] << "\n" << outcome.err;
  return outcome;
}

/// Cells of a CSV without quotes in quotes, line by line, after the header.
std::vector<std::vector<std::string>> rows_of(const std::string& file) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(read_file(file));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::vector<std::string>& row = rows.emplace_back(1);
    bool quoted = false;
    for (const char c : line) {
      if (c == '"') {
        quoted = !quoted;
      } else if (c == ',' && !quoted) {
        row.emplace_back();
      } else {
        row.back() += c;
      }
    }
  }
  return rows;
}

TEST(MainJob, FromSimulatedBarcodesToATable) {
  const TemporaryFolder folder;
  const std::string data = folder / "data.csv.zst";
  run({"simulate", "--records", "1500", "--seed", "3", "--out", data});
  run({"pretrain", data, "--out", folder / "model", "--preset", "tiny", "--steps", "6", "--seed",
       "2"});
  for (const char* file : {"model.safetensors", "config.json", "tokenizer.json", "marker.json",
                           "run.json", "metrics.jsonl", "report.html", "last/model.safetensors"}) {
    EXPECT_TRUE(std::filesystem::exists(folder / ("model/" + std::string(file)))) << file;
  }
  EXPECT_THAT(run({"pretrain", data, "--out", folder / "model", "--preset", "tiny", "--steps", "6",
                   "--seed", "2"})
                  .err,
              HasSubstr("finished"));

  run({"embed", folder / "model", data, "--split", "test_unseen", "--out", folder / "q.npy"});
  run({"embed", folder / "model", data, "--split", "train", "--out", folder / "k.npy"});
  const Matrix queries = read_npy(folder / "q.npy");
  EXPECT_EQ(queries.cols, 64);
  EXPECT_GT(queries.rows, 0);

  const std::string json = folder / "knn.json", external = folder / "external.json";
  const Outcome table = run({"evaluate", "knn", folder / "model", data, "--no-cache", "--centre",
                             "--json", json, "--report", folder / "report.html"});
  EXPECT_THAT(table.out, HasSubstr("aligned identity"));
  const auto knn = nlohmann::json::parse(read_file(json));
  const auto& rows = knn["rows"];
  ASSERT_EQ(rows.size(), 7u)
      << "model and random encoder, plain and centred; 6-mers; centred sites; identity";
  EXPECT_EQ(rows[0]["name"], "model");
  EXPECT_EQ(rows[2]["name"], "random-initialised encoder");
  for (const auto& row : rows) EXPECT_GT(row["accuracy"], 0.0) << row["name"];

  EXPECT_EQ(nlohmann::json::parse(read_file(folder / "k.model.json"))["model"],
            (folder / "model").string());
  // The same vectors by way of files give the same accuracy.
  run({"evaluate", "knn", "--keys-npy", folder / "k.npy", folder / "k.tsv", "--queries-npy",
       folder / "q.npy", folder / "q.tsv", "--json", external});
  EXPECT_EQ(nlohmann::json::parse(read_file(external))["rows"][0]["accuracy"], rows[0]["accuracy"]);

  // Half of the queries' k-mers masked; what each query was answered, and what each class got.
  const std::string records = folder / "records.csv", classes = folder / "classes.csv";
  run({"evaluate", "knn", folder / "model", data, "--no-cache", "--no-baselines",
       "--inference-mask", "drop,replace", "--mask-rate", "0.5", "--mask-side", "queries", "--json",
       json, "--per-record", records, "--per-class", classes});
  const auto masked = nlohmann::json::parse(read_file(json))["rows"];
  ASSERT_EQ(masked.size(), 3u) << "whole, drop, replace";
  EXPECT_EQ(masked[0]["accuracy"], rows[0]["accuracy"]);
  EXPECT_EQ(masked[1]["inference_mask"]["kind"], "drop");
  EXPECT_EQ(masked[2]["inference_mask"]["kind"], "replace");
  EXPECT_EQ(masked[2]["inference_mask"]["rate"], 0.5);
  EXPECT_EQ(masked[2]["inference_mask"]["keys_too"], false);
  EXPECT_NE(masked[1]["accuracy"], masked[2]["accuracy"]);
  for (const auto& row : masked) {
    const std::string name = row["name"];
    std::int64_t asked = 0, right = 0;
    for (const auto& cells : rows_of(records)) {
      if (cells[0] != name || cells[2].empty()) continue;
      ++asked;
      right += cells[2] == cells[3] ? 1 : 0;
    }
    EXPECT_EQ(asked, row["queries"]) << name;
    EXPECT_EQ(right, row["correct"]) << name;
    std::int64_t support = 0;
    for (const auto& cells : rows_of(classes)) {
      if (cells[0] == name) support += std::stoll(cells[2]);
    }
    EXPECT_EQ(support, row["queries"]) << name;
  }

  // All of it in one table, twice: the second time from the cells of the first.
  const std::string files = "file=" + (folder / "k.npy").string() + "," +
                            (folder / "k.tsv").string() + "," + (folder / "q.npy").string() + "," +
                            (folder / "q.tsv").string();
  const std::vector<std::string> words = {"evaluate",
                                          "table",
                                          folder / "model",
                                          files,
                                          data,
                                          "--out",
                                          folder / "table",
                                          "--no-cache",
                                          "--epochs",
                                          "2",
                                          "--baselines",
                                          "random,kmer,sites,aligned",
                                          "--components",
                                          "4",
                                          "--quiet",
                                          "--tasks",
                                          "unseen,species,linear,clustering,ward,cost,map,finetune",
                                          "--finetune-epochs",
                                          "1"};
  const Outcome first = run(words);
  EXPECT_EQ(first.out, read_file(folder / "table/table.txt"));
  const auto whole = nlohmann::json::parse(read_file(folder / "table/table.json"));
  const auto& cells = whole["rows"];
  ASSERT_GE(cells.size(), 5u);
  EXPECT_EQ(whole["made_by"]["data_fingerprint"], knn["made_by"]["data_fingerprint"]);
  const std::string fingerprint = knn["made_by"]["model_fingerprint"];
  EXPECT_NE(cells[0]["identity"].get<std::string>().find(fingerprint), std::string::npos);
  EXPECT_EQ(cells[0]["name"], "model");
  EXPECT_EQ(cells[0]["unseen_accuracy"], rows[0]["accuracy"]);
  EXPECT_EQ(cells[1]["unseen_accuracy"], rows[0]["accuracy"]) << "the same vectors from files";
  EXPECT_GT(cells[0]["cost"]["seconds_per_barcode"], 0.0);
  EXPECT_GT(cells[0]["cost"]["gflop_per_barcode"], 0.0);
  EXPECT_EQ(cells[2]["name"], "random-initialised encoder");
  EXPECT_GT(cells[2]["linear_accuracy"], 0.0);
  EXPECT_GT(cells[0]["finetuned_accuracy"], 0.0);
  EXPECT_GT(cells[0]["finetuned"]["train"], 0);
  EXPECT_TRUE(cells[2].contains("finetuned_accuracy")) << "its architecture from scratch";
  EXPECT_FALSE(cells[1].contains("finetuned_accuracy")) << "vectors cannot be trained further";
  EXPECT_EQ(cells[4]["name"], "centred sites");
  EXPECT_GT(cells[4]["linear_accuracy"], 0.5);
  EXPECT_THAT(read_file(folder / "table/report.html"), HasSubstr("class=\"dots c0\""));
  const std::string report = read_file(folder / "table/report.html");
  EXPECT_EQ(run(words).out, first.out) << "measured seconds too: nothing is measured again";
  EXPECT_EQ(read_file(folder / "table/report.html"), report);

  // Its cells are what the evaluations say one by one.
  const auto alone = [&](const char* task, std::vector<std::string> options) {
    options.insert(options.begin(), {"evaluate", task, folder / "model", data, "--json", json});
    run(options);
    return nlohmann::json::parse(read_file(json));
  };
  const auto probe = alone("linear", {"--no-cache", "--epochs", "2", "--no-baselines"});
  EXPECT_EQ(probe["rows"][0]["accuracy"], cells[0]["linear_accuracy"]);
  const auto reference =
      alone("linear", {"--no-cache", "--epochs", "2", "--no-baselines", "--protocol", "reference"});
  EXPECT_NE(reference["optimiser"], probe["optimiser"]);
  EXPECT_EQ(reference["momentum"], 0.95);
  const auto clusters = alone("clustering", {"--no-cache", "--components", "4", "--no-baselines"});
  EXPECT_EQ(clusters["rows"][0]["ami"], cells[0]["ami"]);
  const auto tuned = alone("finetune", {"--no-cache", "--epochs", "1", "--out", folder / "tuned"});
  EXPECT_EQ(tuned["rows"][0]["accuracy"], cells[0]["finetuned_accuracy"]);

  // The encoder alone, rounded to bfloat16, in a folder of its own.
  run({"export", folder / "model", "--out", folder / "small"});
  EXPECT_LT(std::filesystem::file_size(folder / "small/model.safetensors"),
            0.6 * std::filesystem::file_size(folder / "model/model.safetensors"));
  run({"embed", folder / "small", data, "--split", "test_unseen", "--out", folder / "s.npy"});
  const Matrix rounded = read_npy(folder / "s.npy");
  ASSERT_EQ(rounded.values.size(), queries.values.size());
  for (std::size_t i = 0; i < rounded.values.size(); ++i) {
    ASSERT_NEAR(rounded.values[i], queries.values[i], 0.1);
  }
  EXPECT_EQ(run_barcodemae({"export", folder / "model", "--out", folder / "small"}).exit_code, 2);

  // The weights of products in int8, which embedding in int8 computes with.
  if (cpu::has_precision(DType::kInt8)) {
    run({"export", folder / "model", "--out", folder / "int8", "--precision", "int8"});
    EXPECT_LT(std::filesystem::file_size(folder / "int8/model.safetensors"),
              std::filesystem::file_size(folder / "small/model.safetensors"));
    const auto embed = [&](const char* model, const std::string& out) {
      run({"embed", folder / model, data, "--split", "test_unseen", "--precision", "int8", "--out",
           out});
      return read_npy(out).values;
    };
    run({"export", folder / "int8", "--out", folder / "again", "--precision", "int8"});
    EXPECT_EQ(embed("int8", folder / "e.npy"), embed("again", folder / "e.npy"));
    const Outcome int8 = run({"evaluate", "knn", folder / "model", data, "--no-cache",
                              "--no-baselines", "--precision", "int8", "--json", json});
    EXPECT_THAT(int8.out, HasSubstr("int8 against f32:"));
    const auto beside = nlohmann::json::parse(read_file(json));
    EXPECT_EQ(beside["rows"][1]["accuracy"], rows[0]["accuracy"]) << "the row in float32";
    EXPECT_NEAR(beside["int8_minus_float32"].get<double>(), 0, 0.05);
  }

  // Read as they are, the same barcodes get other vectors.
  run({"embed", folder / "model", data, "--split", "train", "--anchor", "none", "--out",
       folder / "raw.npy"});
  EXPECT_NE(read_npy(folder / "raw.npy").values, read_npy(folder / "k.npy").values);

  EXPECT_THAT(run({"info", folder / "model"}).out, HasSubstr("mean, 64 dimensions"));
}

TEST(Prepare, TakesSplitsAndDuplicatesAsTheReferenceDoes) {
  const TemporaryFolder folder;
  const std::string filed = folder.write("filed.csv",
                                         "processid,species,split,dna_barcode\n"
                                         "A,Aus bus,train,ACGTACGTACGTNN\n"
                                         "B,Aus cus,test,ACGTACGTACGT\n"
                                         "C,Aus cus,test,ACGTACGTACGT\n"
                                         "D,,pretrain,TTGTACGTACGT\n");
  const auto prepared = [&](const std::vector<std::string>& options) {
    std::vector<std::string> all = {"prepare", filed, "--out", "-", "--quiet"};
    all.insert(all.end(), options.begin(), options.end());
    return run(all).out;
  };
  const std::string first = prepared({"--splits", "own", "--duplicates", "first"});
  EXPECT_THAT(first, AllOf(HasSubstr("\nA,"), HasSubstr("Aus bus"), HasSubstr(",train,")));
  EXPECT_THAT(first, Not(AnyOf(HasSubstr("\nB,"), HasSubstr("\nC,"))));
  EXPECT_THAT(prepared({"--splits", "own"}), AllOf(HasSubstr("Aus cus"), HasSubstr(",test,")));
  EXPECT_THAT(first, HasSubstr("\nD,"));
}

TEST(Whiten, StoresAReadoutThatEveryCommandUses) {
  const TemporaryFolder folder;
  const std::string data = folder / "data.csv.zst";
  run({"simulate", "--records", "600", "--seed", "3", "--out", data});
  // Of the first 44 k-mers: 1,120 numbers with the sites, whose eigenvectors take a moment.
  run({"pretrain", data, "--out", folder / "model", "--preset", "tiny", "--steps", "2",
       "--max-bases", "264", "--pooling", "segments:3"});
  const auto embed = [&](const std::string& model, const std::string& pooling,
                         const std::string& split = "test_unseen") {
    run({"embed", folder / model, data, "--split", split, "--precision", "f32", "--pooling",
         pooling, "--out", folder / "x.npy"});
    return read_npy(folder / "x.npy");
  };
  EXPECT_EQ(embed("model", "model").cols, 3 * 64);
  EXPECT_EQ(embed("model", "segments:5").cols, 5 * 64);

  const std::vector<std::string> whiten = {
      "whiten",     folder / "model", data, "--components", "20", "--records", "100", "--pooling",
      "segments:2", "--shrinkage",    "0",  "--precision",  "f32"};
  const auto whiten_to = [&](const std::string& out, const std::vector<std::string>& more) {
    std::vector<std::string> all = whiten;
    all.insert(all.end(), {"--out", folder / out});
    all.insert(all.end(), more.begin(), more.end());
    return run(all);
  };
  EXPECT_THAT(whiten_to("white", {}).err, HasSubstr("from 128 to 20 numbers; effective rank"));
  const auto same_files = [&](const char* a, const char* b) {
    return read_file(folder / a) == read_file(folder / b);
  };
  EXPECT_TRUE(same_files("white/model.safetensors", "model/model.safetensors"));
  whiten_to("again", {"--threads", "3"});
  EXPECT_TRUE(same_files("again/readout.safetensors", "white/readout.safetensors"));
  whiten_to("other", {"--seed", "2"});
  EXPECT_FALSE(same_files("other/readout.safetensors", "white/readout.safetensors"));
  const Matrix white = embed("white", "model");
  ASSERT_EQ(white.cols, 20);
  EXPECT_EQ(embed("white", "mean").values, embed("model", "mean").values);

  // What is known of the sites beside what the encoder says, and labels for the fit.
  EXPECT_EQ(embed("model", "mean+sites").cols, 64 + 44 * 24);
  const Outcome grouped = run({"whiten",
                               folder / "model",
                               data,
                               "--pooling",
                               "mean+sites",
                               "--within",
                               "genus",
                               "--components",
                               "20",
                               "--refine",
                               "5",
                               "--hidden-units",
                               "12",
                               "--ensemble",
                               "2",
                               "--dimensions",
                               "15",
                               "--precision",
                               "f32",
                               "--out",
                               folder / "grouped"});
  EXPECT_THAT(grouped.err, HasSubstr("mean+sites, from 1,120 to 15 numbers; fitted to"));
  EXPECT_EQ(embed("grouped", "model").cols, 15);
  EXPECT_EQ(embed("grouped", "mean").values, embed("model", "mean").values);
  const auto facts = nlohmann::json::parse(run({"info", folder / "grouped", "--json"}).out);
  EXPECT_EQ(facts["model"]["training"]["readout"]["refining_steps"], 5);
  EXPECT_EQ(facts["model"]["readout"]["hidden_units"], 24);
  const Outcome too_many =
      run_barcodemae({"whiten", folder / "model", data, "--pooling", "mean+sites", "--within",
                      "genus", "--components", "20", "--refine", "1", "--ensemble", "2",
                      "--dimensions", "41", "--out", folder / "none"});
  EXPECT_EQ(too_many.exit_code, 2);
  EXPECT_THAT(too_many.err, HasSubstr("--dimensions 41: 2 readouts of 20 components have 40"));
  const auto knn = [&](const std::string& model) {
    const std::string json = folder / "knn.json";
    run({"evaluate", "knn", folder / model, data, "--no-cache", "--no-baselines", "--json", json});
    return nlohmann::json::parse(read_file(json))["rows"][0]["accuracy"].get<double>();
  };
  EXPECT_GT(knn("grouped"), knn("white")) << "two steps of training, and hardly any labels needed";
  const auto cost = [&](const std::string& model) {
    const std::filesystem::path out = folder / ("table-" + model);
    run({"evaluate", "table", folder / model, data, "--no-cache", "--no-baselines",
         "--no-published", "--tasks", "cost", "--out", out});
    return nlohmann::json::parse(read_file(out / "table.json"))["rows"][0]["cost"];
  };
  const auto plain = cost("model"), with_readout = cost("grouped");
  constexpr int kWeights = 15 * 1120 + 24 * 1120 + 15 * 24;
  EXPECT_EQ(with_readout["parameters"].get<int>() - plain["parameters"].get<int>(),
            kWeights + 1120);
  EXPECT_NEAR(
      with_readout["gflop_per_barcode"].get<double>() - plain["gflop_per_barcode"].get<double>(),
      2e-9 * kWeights, 1e-12);
  EXPECT_EQ(run_barcodemae(
                {"embed", folder / "grouped", data, "--anchor", "none", "--out", folder / "x.npy"})
                .exit_code,
            2)
      << "there are no sites without marker coordinates";

  const Outcome info = run({"info", folder / "white", "--json"});
  const auto model = nlohmann::json::parse(info.out)["model"];
  EXPECT_EQ(model["pooling"], "segments:2");
  EXPECT_EQ(model["readout"]["dimensions"], 20);
  EXPECT_EQ(model["training"]["readout"]["records"], 100);
  EXPECT_NEAR(model["training"]["readout"]["effective_rank_after"].get<double>(), 20, 1e-6);
  EXPECT_THAT(run({"info", folder / "white"}).out,
              HasSubstr("segments:2, 128 numbers through a stored readout to 20 dimensions"));

  run({"export", folder / "white", "--out", folder / "small", "--precision", "f32"});
  EXPECT_EQ(embed("small", "model").values, white.values);
  EXPECT_THAT(
      run({"export", folder / "white", "--out", folder / "torch", "--format", "transformers"}).err,
      HasSubstr("Left out, as transformers has no place for them: the stored readout"));
  EXPECT_EQ(embed("torch", "model").cols, 128);

  // Evaluations pool alike, and the cache does not mix things up.
  ::setenv("BARCODEMAE_CACHE", (folder / "cache").c_str(), 1);
  std::vector<double> ranks;
  std::string said;
  for (const char* pooling : {"model", "segments:2", "mean", "model"}) {
    said = run({"evaluate", "knn", folder / "white", data, "--pooling", pooling, "--no-baselines",
                "--json", folder / "knn.json"})
               .err;
    const auto row = nlohmann::json::parse(read_file(folder / "knn.json"))["rows"][0];
    ranks.push_back(row["effective_rank_of_keys"]);
    EXPECT_EQ(row["name"],
              std::string("white") +
                  (std::string(pooling) == "model" ? "" : std::string(", ") + pooling));
  }
  ::setenv("BARCODEMAE_SIMD", "scalar", 1);
  EXPECT_THAT(run({"evaluate", "knn", folder / "white", data, "--no-baselines"}).err,
              testing::Not(HasSubstr("from the cache")))
      << "another instruction set rounds otherwise";
  ::unsetenv("BARCODEMAE_SIMD");
  ::unsetenv("BARCODEMAE_CACHE");
  EXPECT_NE(ranks[0], ranks[1]);
  EXPECT_NE(ranks[1], ranks[2]);
  EXPECT_EQ(ranks[0], ranks[3]);
  EXPECT_THAT(said, HasSubstr("from the cache"));

  run({"evaluate", "table", folder / "white", data, "--out", folder / "table", "--tasks", "unseen",
       "--no-baselines", "--no-published", "--no-cache", "--pooling", "segments:4"});
  EXPECT_THAT(read_file(folder / "table/table.txt"), HasSubstr("segments:4"));
}

TEST(Embed, ReadsAndWritesStreamsAndShorterNumbers) {
  const TemporaryFolder folder;
  const std::string model = BARCODEMAE_TEST_DATA "/golden/format_1/run",
                    data = BARCODEMAE_TEST_DATA "/golden/format_1/data.csv.zst";
  run({"embed", model, data, "--out", folder / "x.tsv"});
  const Outcome piped = run_barcodemae({"embed", model, "-", "--out", "-"}, data);
  EXPECT_EQ(piped.exit_code, 0) << piped.err;
  EXPECT_FALSE(piped.out.empty());
  EXPECT_EQ(piped.out, read_file(folder / "x.tsv"));

  run({"embed", model, data, "--out", folder / "x.npy"});
  run({"embed", model, data, "--out", folder / "half.npy", "--dtype", "float16"});
  const Matrix numbers = read_npy(folder / "x.npy"), half = read_npy(folder / "half.npy");
  EXPECT_LT(std::filesystem::file_size(folder / "half.npy"),
            0.6 * std::filesystem::file_size(folder / "x.npy"));
  ASSERT_EQ(half.values.size(), numbers.values.size());
  for (std::size_t i = 0; i < half.values.size(); ++i) {
    ASSERT_NEAR(half.values[i], numbers.values[i], 1e-3 * std::abs(numbers.values[i]) + 1e-6);
  }
  EXPECT_NE(half.values, numbers.values);

  const auto made = nlohmann::json::parse(read_file(folder / "x.model.json"));
  EXPECT_EQ(made["format_version"], 1);
  EXPECT_EQ(made["model"], model);
  EXPECT_EQ(made["pooling"], "model");
  EXPECT_EQ(made["anchor"], "auto");
  for (const char* key : {"version", "model_fingerprint", "precision"}) {
    EXPECT_FALSE(made[key].get<std::string>().empty()) << key;
  }
}

TEST(ShippedModel, IsKnownByItsName) {
  const TemporaryFolder folder;
  const Outcome outcome =
      run_barcodemae({"embed", "coi-small", BARCODEMAE_TEST_DATA "/golden/format_1/data.csv.zst",
                      "--split", "test", "--out", folder / "x.npy"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(read_npy(folder / "x.npy").cols, 512);
}

TEST(ConfigFile, HoldsOptionsAndTheCommandLineWins) {
  const TemporaryFolder folder;
  const std::string config = folder.write("options.ini", "records = 40\nseed = 5\nquiet = true\n");
  const Outcome from_file =
      run_barcodemae({"simulate", "--config", config, "--out", folder / "a.csv"});
  EXPECT_EQ(from_file.exit_code, 0) << from_file.err;
  EXPECT_EQ(from_file.err, "");
  const Outcome by_hand =
      run_barcodemae({"simulate", "--config=" + config, "--seed", "6", "--out", folder / "b.csv"});
  EXPECT_EQ(by_hand.exit_code, 0) << by_hand.err;
  run_barcodemae({"simulate", "--records", "40", "--seed", "5", "--out", folder / "c.csv"});
  EXPECT_EQ(read_file(folder / "a.csv"), read_file(folder / "c.csv"));
  EXPECT_NE(read_file(folder / "a.csv"), read_file(folder / "b.csv"));

  // What excludes an option of the file, or is the same by another name.
  EXPECT_EQ(run_barcodemae({"simulate", "--verbose", "--config", config, "--out", folder / "v.csv"})
                .exit_code,
            0);
  const std::string splits = folder.write("splits.ini", "splits = train\n");
  const Outcome named_twice =
      run_barcodemae({"embed", "coi-small", BARCODEMAE_TEST_DATA "/golden/format_1/data.csv.zst",
                      "--config", splits, "--split", "test", "--out", folder / "x.npy"});
  EXPECT_EQ(named_twice.exit_code, 0) << named_twice.err;

  const std::string unknown = folder.write("unknown.ini", "recordz = 40\n");
  const Outcome refused = run_barcodemae(
      {"simulate", "--config", unknown, "--records", "1", "--out", folder / "d.csv"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("recordz"));
  EXPECT_THAT(refused.err, HasSubstr(unknown));
}

}  // namespace
}  // namespace barcodemae
