// SPDX-License-Identifier: MIT
// Frozen features judged by their nearest neighbours (paper, "genus of unseen species": cosine
// 1-NN, keys `train`, queries `test_unseen`), beside baselines that need no training.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "analysis/classification.h"
#include "analysis/nearest.h"
#include "analysis/votes.h"
#include "communication/communicator.h"
#include "evaluation/bin_concordance.h"
#include "evaluation/embedding_files.h"
#include "evaluation/frozen_features.h"
#include "evaluation/record_table.h"
#include "sequence/record.h"

namespace barcodemae {

/// One line of the table.
struct KnnRow {
  std::string name;
  ClassificationScores scores;
  InferenceMask mask;                    ///< what was hidden from the encoder
  std::optional<double> effective_rank;  ///< of the keys; absent where there are no vectors
  double queries_per_second = 0;         ///< of the search alone
  BinCounts correct_by_bin{};            ///< where KnnResult::queries_by_bin is known
  std::vector<std::int32_t> answers;     ///< the label that each query got
  std::vector<Neighbour> nearest;        ///< its nearest key
};

struct KnnResult {
  Rank rank = Rank::kGenus;
  std::string keys, queries;  ///< what they are: splits or files
  std::int64_t key_count = 0, query_count = 0;
  std::int64_t left_out = 0;  ///< records of these splits without a label, or without a token
  int neighbours = 1;
  VoteOptions votes;
  bool keys_masked = true;               ///< where a row has a mask
  std::vector<std::string> label_names;  ///< by label
  AskedRecords asked;                    ///< the queries
  std::vector<std::string> key_ids;
  std::vector<KnnRow> rows;
  /// Labelled queries by whose keys lie in their BIN; absent where BINs are not known, are what is
  /// asked for, or do not divide the queries.
  std::optional<BinCounts> queries_by_bin;
  std::optional<double> int8_difference;  ///< accuracy of int8 less that of float32, when asked for

  /// {"task": "knn", "rank", "keys", "queries", …, "queries_by_bin", "rows": [{"name",
  /// "accuracy", …}]}
  nlohmann::ordered_json to_json() const;
  /// "cosine 5-NN, softmax votes at temperature 0.02"
  std::string method() const;
  /// The table for a terminal.
  std::string to_text() const;
  /// Accuracy in % by whose keys lie in the query's BIN: a header, the numbers of queries, and a
  /// line for each row. Empty without queries_by_bin.
  std::vector<std::vector<std::string>> bin_table() const;
  /// Every query of every row: CSV of features, id, label, answer, nearest (its id), similarity.
  std::string record_table() const;
  /// Every class of every row (class_table_csv).
  std::string class_table() const;
};

struct KnnOptions {
  std::string keys = "train", queries = "test_unseen";
  Rank rank = Rank::kGenus;
  int neighbours = 1;  ///< k: keys that vote
  VoteOptions votes;
  /// Add rows of the model with tokens masked at inference, on both sides or, unless mask_keys, on
  /// the queries' alone.
  std::vector<InferenceMask> masks;
  bool mask_keys = true;
  bool centre = false;     ///< add rows with the keys' mean subtracted
  bool baselines = true;   ///< add random encoder, 6-mer counts, aligned identity
  std::uint64_t seed = 1;  ///< of the random-initialised encoder
  /// The aligned-identity baseline of a model without marker coordinates learns a profile of its
  /// own unless features.anchor is none.
  FeatureOptions features;
};

/// Embeds and searches. Throws UserError when model or data cannot be used, a split is missing or
/// on both sides, no key or query has a label at the rank, all keys have the same one, no query's
/// is a key's, or there are fewer keys than neighbours. Collective: each process embeds its share
/// of the records and answers its share of the queries; all get the same result, which does not
/// depend on how many there are.
KnnResult evaluate_knn(const std::filesystem::path& model, const std::filesystem::path& data_file,
                       const KnnOptions& options, Communicator& communicator);

/// The same for embeddings made elsewhere, without baselines.
KnnResult evaluate_knn(const EmbeddingFiles& key_files, const EmbeddingFiles& query_files,
                       const KnnOptions& options, Communicator& communicator);

}  // namespace barcodemae
