// SPDX-License-Identifier: MIT
// The main job end to end: simulate, pretrain, embed, evaluate, with the files each leaves behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "formats/npy.h"
#include "run_binary.h"

namespace barcodemae {
namespace {

using testing::HasSubstr;

TEST(MainJob, FromSimulatedBarcodesToATable) {
  const ScratchFolder folder;
  const std::string data = folder / "data.csv.zst";
  const auto run = [](const std::vector<std::string>& arguments) {
    const Outcome outcome = run_barcodemae(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << arguments[0] << "\n" << outcome.err;
    return outcome;
  };
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
  const auto rows = nlohmann::json::parse(read_text(json))["rows"];
  ASSERT_EQ(rows.size(), 6u) << "model and random encoder, plain and centred; 6-mers; identity";
  EXPECT_EQ(rows[0]["name"], "model");
  EXPECT_EQ(rows[2]["name"], "random-initialised encoder");
  for (const auto& row : rows) EXPECT_GT(row["accuracy"], 0.0) << row["name"];

  // The same vectors by way of files give the same accuracy.
  run({"evaluate", "knn", "--keys-npy", folder / "k.npy", folder / "k.tsv", "--queries-npy",
       folder / "q.npy", folder / "q.tsv", "--json", external});
  EXPECT_EQ(nlohmann::json::parse(read_text(external))["rows"][0]["accuracy"], rows[0]["accuracy"]);

  EXPECT_THAT(run({"info", folder / "model"}).out, HasSubstr("64"));
}

}  // namespace
}  // namespace barcodemae
