// SPDX-License-Identifier: MIT
// Frozen features judged by how well clusters of them bring labels back (paper, "BIN
// reconstruction": UMAP of `test` and `test_unseen` together, Ward with as many clusters as labels,
// AMI), beside baselines that need no training.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "analysis/clustering_scores.h"
#include "analysis/umap.h"
#include "communication/communicator.h"
#include "evaluation/embedding_files.h"
#include "evaluation/frozen_features.h"
#include "evaluation/record_table.h"
#include "sequence/record.h"

namespace barcodemae {

/// One line of the table.
struct ClusteringRow {
  std::string name;
  ClusteringScores scores;
  double umap_seconds = 0, ward_seconds = 0;
  std::vector<std::int32_t> clusters;  ///< of each record, from 0, in order of their first records
};

struct ClusteringOptions {
  std::string splits = "test+test_unseen";  ///< "all": every record, splits or not
  Rank rank = Rank::kBin;
  std::int64_t clusters = 0;  ///< 0: as many as there are labels
  bool reduce = true;         ///< by UMAP; else Ward takes the vectors as they are
  UmapOptions umap;           ///< its seed is that of the random-initialised encoder too
  bool baselines = true;      ///< add random encoder and 6-mer counts
  FeatureOptions features;
};

struct ClusteringResult {
  ClusteringOptions options;
  std::string source;  ///< splits or file
  std::int64_t records = 0, unlabelled = 0, without_token = 0, labels = 0, clusters = 0;
  AskedRecords clustered;                ///< unless the vectors were there already
  std::vector<std::string> label_names;  ///< of theirs
  std::vector<ClusteringRow> rows;

  /// Every record of every row: CSV of features, id, label, cluster (from 1).
  std::string record_table() const;
  /// {"task": "clustering", "rank", "records_of", …, "rows": [{"name", "ami", …}]}
  nlohmann::ordered_json to_json() const;
  /// The table for a terminal.
  std::string to_text() const;
};

/// Embeds, reduces, clusters and scores. Says beforehand how much memory that takes. Throws
/// UserError when model or data cannot be used, a split is missing, fewer than two labels occur,
/// more clusters than records are asked for, or memory does not suffice. Collective: each process
/// embeds its share; rank 0 alone clusters, and has the rows.
ClusteringResult evaluate_clustering(const std::filesystem::path& model,
                                     const std::filesystem::path& data,
                                     const ClusteringOptions& options, Communicator& communicator);

/// The same for vectors that are there already, all with a label ≥ 0: one row, called `name`.
/// `source` says what the records are. Not collective: the calling process does it all.
ClusteringResult cluster_vectors(const std::string& name, const RowSource& rows,
                                 const std::vector<std::int32_t>& labels, const std::string& source,
                                 const ClusteringOptions& options, Communicator& communicator);

/// The same for embeddings made elsewhere, without baselines.
ClusteringResult evaluate_clustering(const EmbeddingFiles& files, const ClusteringOptions& options,
                                     Communicator& communicator);

}  // namespace barcodemae
