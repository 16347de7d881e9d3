// SPDX-License-Identifier: MIT
#include "evaluation/linear.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "embedding_files_test.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using testing::HasSubstr;

class LinearProbeOfFiles : public EmbeddingFilesTest {
 protected:
  /// Points around the corners of a triangle.
  EmbeddingFiles triangle(const std::string& name, int rows, std::uint32_t seed) {
    Matrix vectors{rows, 2, {}};
    std::string labels = "id\tspecies\n";
    RandomSequence random(seed, Stream::kSimulate);
    for (int row = 0; row < rows; ++row) {
      const int corner = row % 3;
      vectors.values.push_back(static_cast<float>(random.normal() + (corner == 1 ? 8 : 0)));
      vectors.values.push_back(static_cast<float>(random.normal() + (corner == 2 ? 8 : 0)));
      labels += name + std::to_string(row) + "\tAus " + "abc"[corner] + "\n";
    }
    return files(name, vectors, labels);
  }
  std::string refusal(const LinearFiles& files) {
    return user_error([&] { evaluate_linear(files, options_, alone_); });
  }

  LinearOptions options_;
};

TEST_F(LinearProbeOfFiles, ChoosesTheLearningRateOnValAndScoresTest) {
  const LinearFiles all{triangle("t", 90, 1), triangle("v", 30, 2), triangle("e", 60, 3)};
  options_.probe.start = LinearProbeOptions::Start::kUniformRandom;
  options_.learning_rates = {1e-9, 0.1, 0.2};  // the first leaves the weights as they began
  const LinearResult result = evaluate_linear(all, options_, alone_);
  EXPECT_EQ(result.classes, 3);
  ASSERT_EQ(result.rows.size(), 1u);
  const LinearRow& row = result.rows[0];
  EXPECT_EQ(row.learning_rate, 0.1) << "of equal ones the first";
  EXPECT_EQ(row.validation_accuracy, 1);
  EXPECT_EQ(row.scores.queries, 60);
  EXPECT_GE(row.scores.correct, 59);
  const auto json = result.to_json();
  EXPECT_EQ(json["task"], "linear");
  EXPECT_EQ(json["rows"][0]["epochs"].size(), row.epochs.size());
  EXPECT_THAT(result.to_text(), HasSubstr("3 classes"));
  EXPECT_THAT(result.class_table(), HasSubstr("\nt,Aus b,20,"));
  const std::string records = result.record_table();
  EXPECT_THAT(records, HasSubstr("features,id,label,answer\nt,e0,Aus a,Aus a\n"));
  EXPECT_EQ(std::count(records.begin(), records.end(), '\n'), 61);
}

TEST_F(LinearProbeOfFiles, ReferenceProtocolRunsToTheEnd) {
  const LinearFiles all{triangle("t", 90, 1), triangle("v", 30, 2), triangle("e", 60, 3)};
  options_.probe = reference_protocol();
  options_.learning_rates = {kReferenceLearningRate};
  const LinearResult result = evaluate_linear(all, options_, alone_);
  EXPECT_EQ(result.rows[0].best_epoch, 200);
  EXPECT_EQ(result.rows[0].epochs.size(), 200u);
  EXPECT_GE(result.rows[0].scores.correct, 59);
}

TEST_F(LinearProbeOfFiles, UnlabelledRowsAndUnknownSpeciesAreCounted) {
  LinearFiles all{triangle("t", 90, 1), triangle("v", 30, 2), triangle("e", 3, 3)};
  std::ofstream(all.test.labels) << "species\nAus a\n\nBus new\n";
  const LinearResult result = evaluate_linear(all, options_, alone_);
  EXPECT_EQ(result.rows[0].scores.unlabelled, 1);
  EXPECT_EQ(result.rows[0].scores.queries, 2);
  EXPECT_EQ(result.rows[0].scores.unreachable, 1);
  EXPECT_EQ(result.test_count, 2);
  EXPECT_EQ(result.left_out, 1);
  EXPECT_THAT(result.to_text(),
              testing::AllOf(HasSubstr("tested on 2 ("), HasSubstr("\n1 rows without a label")));
}

TEST_F(LinearProbeOfFiles, MismatchesAreNamed) {
  const auto train = triangle("t", 30, 1), val = triangle("v", 30, 2), test = triangle("e", 30, 3);
  EXPECT_THAT(refusal({train, val, files("wide", {1, 3, {1, 0, 0}}, "species\nAus a\n")}),
              HasSubstr("wide.npy has 3"));
  EXPECT_THAT(refusal({train, files("short", {2, 2, {1, 0, 0, 1}}, "species\nAus a\n"), test}),
              HasSubstr("2 vectors"));
  EXPECT_THAT(refusal({files("one", {2, 2, {1, 0, 0, 1}}, "species\nA\nA\n"), val, test}),
              HasSubstr("all have the same species, A"));
  EXPECT_THAT(refusal({train, val, files("new", {1, 2, {1, 0}}, "species\nBus\n")}),
              HasSubstr("not one has a species that occurs among"));
  EXPECT_THAT(refusal({train, files("none", {1, 2, {1, 0}}, "id\tspecies\nn\t\n"), test}),
              HasSubstr("none.tsv: none has a species label"));
  EXPECT_THAT(refusal({train, files("other", {1, 2, {1, 0}}, "species\nBus\n"), test}),
              HasSubstr("other.tsv: not one has a species that occurs among"));
  EXPECT_THAT(refusal({train, val, train}), HasSubstr("every id of"));
}

}  // namespace
}  // namespace barcodemae
