// SPDX-License-Identifier: MIT
#include "evaluation/knn.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "embedding_files_test.h"
#include "evaluation/label_table.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class EmbeddingsMadeElsewhere : public EmbeddingFilesTest {
 protected:
  std::string refusal(const EmbeddingFiles& keys, const EmbeddingFiles& queries,
                      const KnnOptions& options = {}) {
    return user_error([&] { evaluate_knn(keys, queries, options, alone_); });
  }
};

TEST_F(EmbeddingsMadeElsewhere, AreSearchedAndScored) {
  const auto keys = files("k", {3, 2, {1, 0, 0, 1, -1, 0}}, "id\tgenus\nA\tAus\nB\tBus\nC\tCus\n");
  // Right; wrong; a genus no key has; no label.
  const auto queries = files("q", {4, 2, {2, 0.1f, 0.1f, 3, -1, 0.2f, 1, 1}},
                             "id\tgenus\r\n1\tAus\r\n2\tAus\r\n3\tDus\r\n4\t\r\n");
  const KnnResult result = evaluate_knn(keys, queries, {}, alone_);
  ASSERT_EQ(result.rows.size(), 1u);
  const ClassificationScores& scores = result.rows[0].scores;
  EXPECT_EQ(scores.queries, 3);
  EXPECT_EQ(scores.correct, 1);
  EXPECT_EQ(scores.unreachable, 1);
  EXPECT_EQ(scores.unlabelled, 1);
  const auto json = result.to_json();
  EXPECT_EQ(json["rows"][0]["name"], "k");
  EXPECT_NEAR(json["rows"][0]["accuracy"].get<double>(), 1.0 / 3, 1e-12);
  EXPECT_THAT(result.to_text(), HasSubstr("33.33"));
}

TEST_F(EmbeddingsMadeElsewhere, CentringRemovesACommonComponent) {
  // Far from the origin only the common direction shows; seen from the mean the answer is right.
  const auto keys = files("k", {2, 2, {100, 1, 300, -1}}, "genus\nAus\nBus\n");
  const auto queries = files("q", {1, 2, {199, 0.9f}}, "genus\nAus\n");
  KnnOptions options;
  options.centre = true;
  const KnnResult result = evaluate_knn(keys, queries, options, alone_);
  ASSERT_EQ(result.rows.size(), 2u);
  EXPECT_EQ(result.rows[1].name, "k, centred");
  EXPECT_EQ(result.rows[1].scores.correct, 1);
}

TEST_F(EmbeddingsMadeElsewhere, RowsWithoutALabelAnswerNothing) {
  // The nearest key has no label; "None" is what pandas writes for that.
  const auto keys = files("k", {3, 2, {1, 0, 1, 0.1f, 0, 1}}, "genus\nNone\nAus\nBus\n");
  const auto queries = files("q", {2, 2, {1, 0, 1, 0}}, "genus\nAus\nNaN\n");
  const KnnResult result = evaluate_knn(keys, queries, {}, alone_);
  EXPECT_EQ(result.key_count, 2);
  EXPECT_EQ(result.query_count, 1);
  EXPECT_EQ(result.left_out, 2);
  EXPECT_THAT(result.to_text(),
              testing::AllOf(HasSubstr("cosine 1-NN: 1 queries ("), HasSubstr("against 2 keys"),
                             HasSubstr("\n2 records without a label")));
  EXPECT_EQ(result.rows[0].scores.queries, 1);
  EXPECT_EQ(result.rows[0].scores.correct, 1);
  EXPECT_THAT(result.record_table(), HasSubstr("\nk,row 1,Aus,Aus,row 2,"));
}

TEST_F(EmbeddingsMadeElsewhere, SeveralNeighboursVote) {
  // By angle from the query: Bus, Aus, Aus.
  const auto keys =
      files("k", {4, 2, {1, 0.1f, 1, 0.4f, 1, 0.5f, -1, 0}}, "genus\nBus\nAus\nAus\nBus\n");
  const auto queries = files("q", {1, 2, {1, 0}}, "genus\nAus\n");
  const auto correct = [&](int k, VoteOptions votes) {
    KnnOptions options;
    options.neighbours = k;
    options.votes = votes;
    const KnnResult result = evaluate_knn(keys, queries, options, alone_);
    EXPECT_EQ(result.to_json()["k"], k);
    return result.rows[0].scores.correct;
  };
  EXPECT_EQ(correct(1, {}), 0);
  EXPECT_EQ(correct(2, {}), 0) << "a tie goes to the nearest";
  EXPECT_EQ(correct(3, {}), 1);
  EXPECT_EQ(correct(4, {}), 0);
  EXPECT_EQ(correct(4, {Votes::kSoftmax, 1}), 1) << "the farthest key counts least";
  EXPECT_EQ(correct(3, {Votes::kSoftmax, 0.02}), 0) << "the nearest key counts most";
}

TEST_F(EmbeddingsMadeElsewhere, EveryQueryIsInTheTable) {
  // The nearest key has no label and does not count; the last query has none either.
  const auto keys =
      files("k", {3, 2, {1, 0, 1, 0.1f, 0, 2}}, "id\tgenus\nX\tNA\nA\tAus\nB\tBus, b\n");
  const auto queries =
      files("q", {3, 2, {0, 1, 1, 0.1f, 0, 3}}, "id\tgenus\nQ1\tBus, b\nQ2\tDus\nQ3\t\n");
  EXPECT_EQ(evaluate_knn(keys, queries, {}, alone_).record_table(),
            "features,id,label,answer,nearest,similarity\n"
            "k,Q1,\"Bus, b\",\"Bus, b\",B,1.000000\n"
            "k,Q2,Dus,Aus,A,1.000000\n"
            "k,Q3,,\"Bus, b\",B,1.000000\n");
}

TEST_F(EmbeddingsMadeElsewhere, EveryClassIsInTheTable) {
  const auto keys = files("k", {2, 2, {1, 0, 0, 1}}, "genus\nAus\n\"Bus\", a\n");
  const auto queries = files("q", {3, 2, {1, 0, 1, 0, 0, 1}}, "genus\nAus\n\"Bus\", a\nCus\n");
  EXPECT_EQ(evaluate_knn(keys, queries, {}, alone_).class_table(),
            "features,class,support,predicted,precision,recall,f1\n"
            "k,\"\"\"Bus\"\", a\",1,1,0.000000,0.000000,0.000000\n"
            "k,Aus,1,2,0.500000,1.000000,0.666667\n"
            "k,Cus,1,0,0.000000,0.000000,0.000000\n");
}

TEST_F(EmbeddingsMadeElsewhere, AnswersAreToldApartByTheQuerysBin) {
  // The key without a species is left out, with its BIN. BIN 2 has two species; 3 has no key.
  const auto keys = files("k", {4, 2, {1, 0, 5, 5, 0, 1, -1, 0}},
                          "species\tdna_bin\nAus a\t1\n\t3\nBus b\t2\nBus c\t2\n");
  const auto queries = files("q", {5, 2, {1, 0, 0, 1, -1, 0.1f, 1, 0, 0, 1}},
                             "species\tdna_bin\nAus a\t1\nBus b\t2\nBus b\t2\nBus c\t3\n\t1\n");
  KnnOptions options;
  options.rank = Rank::kSpecies;
  const KnnResult result = evaluate_knn(keys, queries, options, alone_);
  EXPECT_EQ(result.queries_by_bin, (BinCounts{1, 2, 0, 1, 0}));
  EXPECT_EQ(result.rows[0].correct_by_bin, (BinCounts{1, 1, 0, 0, 0}));
  EXPECT_EQ(result.to_json()["rows"][0]["correct_by_bin"]["shared"], 1);
  const auto table = result.bin_table();
  ASSERT_EQ(table.size(), 3u);
  EXPECT_THAT(table[0], ElementsAre("the query's BIN holds", "its label alone",
                                    "its label and others", "no key"));
  EXPECT_THAT(table[1], ElementsAre("queries", "1", "2", "1"));
  EXPECT_THAT(table[2], ElementsAre("k", "100.00", "50.00", "0.00"));
  EXPECT_THAT(result.to_text(), HasSubstr("its label and others"));
}

TEST_F(EmbeddingsMadeElsewhere, BinsThatTellNothingApartAreNotShown) {
  const auto keys = files("k", {2, 2, {1, 0, 0, 1}}, "genus\tdna_bin\nAus\t1\nBus\t2\n");
  const auto queries = files("q", {2, 2, {1, 0, 0, 1}}, "genus\tdna_bin\nAus\t3\nBus\t4\n");
  EXPECT_FALSE(evaluate_knn(keys, queries, {}, alone_).queries_by_bin) << "all new";
  KnnOptions options;
  options.rank = Rank::kBin;
  EXPECT_FALSE(
      evaluate_knn(keys, files("r", {2, 2, {1, 0, 0, 1}}, "dna_bin\n1\n4\n"), options, alone_)
          .queries_by_bin)
      << "asked for";
}

TEST_F(EmbeddingsMadeElsewhere, MismatchesAreNamed) {
  const auto keys = files("k", {2, 2, {1, 0, 0, 1}}, "genus\nAus\nBus\n");
  EXPECT_THAT(refusal(keys, files("short", {2, 2, {1, 0, 0, 1}}, "genus\nAus\n")),
              HasSubstr("2 vectors"));
  EXPECT_THAT(refusal(keys, files("wide", {1, 3, {1, 0, 0}}, "genus\nAus\n")), HasSubstr("3"));
  EXPECT_THAT(refusal(keys, files("nan", {1, 2, {1, std::nanf("")}}, "genus\nAus\n")),
              HasSubstr("not finite"));
  EXPECT_THAT(refusal(files("none", {0, 2, {}}, "genus\n"), keys), HasSubstr("shape (0, 2)"));
  EXPECT_THAT(refusal(keys, files("no-column", {1, 2, {1, 0}}, "id\tfamily\n1\tA\n")),
              HasSubstr("no column named genus"));
  EXPECT_THAT(refusal(keys, files("unlabelled", {1, 2, {1, 0}}, "genus\n\n")),
              HasSubstr("queries: none has a genus label"));
  EXPECT_THAT(refusal(files("one", {2, 2, {1, 0, 0, 1}}, "genus\nAus\nAus\n"), keys),
              HasSubstr("keys: all have the same genus, Aus"));
  EXPECT_THAT(refusal(keys, files("other", {1, 2, {1, 0}}, "genus\nCus\n")),
              HasSubstr("queries: not one has a genus that occurs among"));
  KnnOptions many;
  many.neighbours = 3;
  EXPECT_THAT(refusal(keys, keys, many), HasSubstr("--k 3: there are only 2 labelled keys"));
  const auto named = files("named", {2, 2, {1, 0, 0, 1}}, "id\tgenus\na\tAus\nb\tBus\n");
  EXPECT_THAT(refusal(named, named), HasSubstr("every id of"));
}

TEST_F(EmbeddingsMadeElsewhere, VectorsOfTwoModelsAreNotCompared) {
  const auto keys = files("k", {2, 2, {1, 0, 0, 1}}, "genus\nAus\nBus\n");
  const auto queries = files("q", {2, 2, {1, 0, 0, 1}}, "genus\nAus\nBus\n");
  const auto made_by = [&](const char* name, const char* model, const char* pooling) {
    std::ofstream(folder_ / (std::string(name) + ".model.json"))
        << fmt::format(R"({{"model": "{0}", "model_fingerprint": "{0}", "pooling": "{1}", )"
                       R"("anchor": "auto"}})",
                       model, pooling);
  };
  made_by("k", "one", "mean");
  EXPECT_EQ(evaluate_knn(keys, queries, {}, alone_).rows[0].scores.accuracy, 1) << "one is unknown";
  made_by("q", "one", "mean");
  EXPECT_EQ(evaluate_knn(keys, queries, {}, alone_).rows[0].scores.accuracy, 1);
  made_by("q", "other", "mean");
  EXPECT_THAT(refusal(keys, queries), HasSubstr("q.npy by other (pooling mean, anchor auto)"));
  made_by("q", "one", "cls");
  EXPECT_THAT(refusal(keys, queries), HasSubstr("cannot be compared"));
}

TEST_F(EmbeddingsMadeElsewhere, LabelColumnsHaveAliases) {
  std::ofstream(folder_ / "a.tsv") << "id\tbin_uri\tgenus_name\nx\tBOLD:AAA\tAus\n";
  EXPECT_THAT(read_label_column(folder_ / "a.tsv", Rank::kBin), ElementsAre("BOLD:AAA"));
  EXPECT_THAT(read_label_column(folder_ / "a.tsv", Rank::kGenus), ElementsAre("Aus"));
  std::ofstream(folder_ / "excel.tsv") << "\xEF\xBB\xBFId\tGenus\r\nx\tAus\r\n\r\n";
  EXPECT_THAT(read_label_column(folder_ / "excel.tsv", Rank::kGenus), ElementsAre("Aus"));
  std::ofstream(folder_ / "quoted.tsv") << "\"id\"\t\"BIN URI\"\t\"genus\"\n"
                                           "\"x\"\t\"BOLD:AAA\"\t\"Aus \"\"b\"\"\"\n";
  EXPECT_THAT(read_label_column(folder_ / "quoted.tsv", Rank::kBin), ElementsAre("BOLD:AAA"));
  EXPECT_THAT(read_label_column(folder_ / "quoted.tsv", Rank::kGenus), ElementsAre("Aus \"b\""));
  // As in barcodes, whatever the order of the columns.
  std::ofstream(folder_ / "ids.tsv") << "sampleid\tprocessid\nx\ty\n";
  EXPECT_THAT(read_ids(folder_ / "ids.tsv"), ElementsAre("y"));
  std::ofstream(folder_ / "b.tsv") << "id\tgenus\nx\n";
  EXPECT_THROW(read_label_column(folder_ / "b.tsv", Rank::kGenus), UserError);
}

}  // namespace
}  // namespace barcodemae
