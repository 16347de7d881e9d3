// SPDX-License-Identifier: MIT
#include "evaluation/clustering.h"

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

class ClustersOfEmbeddings : public EmbeddingFilesTest {
 protected:
  void SetUp() override {
    // Three directions, 20 vectors near each; the last one has no label.
    Matrix vectors{60, 4, {}};
    std::string labels = "id\tbin_uri\n";
    RandomSequence random(3, Stream::kInitialisation);
    for (std::size_t row = 0; row < 60; ++row) {
      for (std::size_t c = 0; c < 4; ++c) {
        vectors.values.push_back(static_cast<float>((c == row % 3) + 0.05 * random.normal()));
      }
      labels +=
          std::to_string(row) + "\t" + (row == 59 ? "" : "BOLD:" + std::to_string(row % 3)) + "\n";
    }
    files_ = files("c", vectors, labels);
    options_.umap.components = 3;
  }
  std::string refusal(const EmbeddingFiles& files, const ClusteringOptions& options) {
    return user_error([&] { evaluate_clustering(files, options, alone_); });
  }

  EmbeddingFiles files_;
  ClusteringOptions options_;
};

TEST_F(ClustersOfEmbeddings, MoreNeighboursThanRecordsAreAllOfThem) {
  options_.umap.neighbours = 1000;
  EXPECT_EQ(evaluate_clustering(files_, options_, alone_).to_json()["umap"]["neighbours"], 59);
}

TEST_F(ClustersOfEmbeddings, BringLabelsBackWithAndWithoutUmap) {
  for (const bool reduce : {true, false}) {
    options_.reduce = reduce;
    const ClusteringResult result = evaluate_clustering(files_, options_, alone_);
    EXPECT_EQ(result.records, 59);
    EXPECT_EQ(result.unlabelled, 1);
    EXPECT_EQ(result.clusters, 3);
    ASSERT_EQ(result.rows.size(), 1u);
    EXPECT_NEAR(result.rows[0].scores.adjusted_mutual_information, 1, 1e-12);
    const auto json = result.to_json();
    EXPECT_EQ(json["rows"][0]["name"], "c");
    EXPECT_NEAR(json["rows"][0]["ami"].get<double>(), 1, 1e-12);
    EXPECT_EQ(json["umap"].is_null(), !reduce);
    EXPECT_THAT(result.to_text(), HasSubstr("100.00"));
    EXPECT_THAT(result.record_table(), testing::StartsWith("features,id,label,cluster\n"
                                                           "c,0,BOLD:0,1\nc,1,BOLD:1,2\n"
                                                           "c,2,BOLD:2,3\nc,3,BOLD:0,1\n"));
  }
}

TEST_F(ClustersOfEmbeddings, AreAsManyAsAskedFor) {
  options_.reduce = false;
  options_.clusters = 6;
  const ClusteringResult result = evaluate_clustering(files_, options_, alone_);
  EXPECT_EQ(result.rows[0].scores.clusters, 6);
  EXPECT_DOUBLE_EQ(result.rows[0].scores.homogeneity, 1);
  EXPECT_LT(result.rows[0].scores.completeness, 1);
}

TEST_F(ClustersOfEmbeddings, AreRefusedWhereTheySayNothing) {
  options_.clusters = 60;
  EXPECT_THAT(refusal(files_, options_), HasSubstr("--clusters 60: more than the 59 records"));
  options_.clusters = 0;
  const Matrix two{2, 2, {1, 0, 0, 1}};
  EXPECT_THAT(refusal(files("same", two, "dna_bin\nA\nA\n"), options_),
              HasSubstr("have the same dna_bin"));
  EXPECT_THAT(refusal(files("none", two, "dna_bin\nNone\nNA\n"), options_),
              HasSubstr("no row has a dna_bin label"));
  EXPECT_THAT(refusal(files("short", two, "dna_bin\nA\n"), options_), HasSubstr("2 vectors"));
}

}  // namespace
}  // namespace barcodemae
