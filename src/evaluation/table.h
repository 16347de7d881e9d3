// SPDX-License-Identifier: MIT
// The paper's table: every evaluation of frozen features for any number of models, beside baselines
// that need no training, embeddings made elsewhere, and published numbers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "analysis/umap.h"
#include "communication/communicator.h"
#include "evaluation/linear.h"
#include "evaluation/table_cells.h"
#include "evaluation/table_entries.h"
#include "evaluation/table_sources.h"

namespace barcodemae {

/// What is asked of every row.
enum class TableTask {
  kUnseen,      ///< genus of unseen species: 1-NN, keys `train`, queries `test_unseen`
  kSpecies,     ///< species, closed world: 1-NN, keys `train`, queries `test`
  kLinear,      ///< the same by a linear probe that stops on `val`
  kClustering,  ///< BINs brought back by UMAP and Ward of `test` and `test_unseen`
  kWard,        ///< the same without UMAP
  kCost,        ///< parameters, GFLOP and seconds per barcode
  kMap,         ///< a layout of a sample in the plane
  kFinetune,  ///< species, closed world, by fine-tuning the encoder: hours, so only when asked for
};
/// "unseen", "species", "linear", "clustering", "ward", "cost", "map",
/// "finetune".
const char* to_string(TableTask task);
const std::vector<TableTask>& all_table_tasks();

struct TableOptions {
  std::string train = "train", val = "val", test = "test", unseen = "test_unseen";
  /// Nothing but a remark: `test` and `unseen` are splits to choose options by, and the probe may
  /// be scored on the records that it stops on.
  bool development = false;
  Rank rank = Rank::kSpecies, unseen_rank = Rank::kGenus, cluster_rank = Rank::kBin,
       map_rank = Rank::kOrder;
  std::set<TableTask> tasks = {TableTask::kUnseen,     TableTask::kSpecies, TableTask::kLinear,
                               TableTask::kClustering, TableTask::kWard,    TableTask::kCost,
                               TableTask::kMap};
  LinearProbeOptions probe;
  std::vector<double> learning_rates = LinearOptions().learning_rates;
  UmapOptions umap;  ///< its seed is that of the random-initialised encoder too
  std::int64_t map_points = 5000;
  bool random_baseline = true;  ///< of the first model's architecture
  BaselineOptions baselines{{"kmer", "sites", "aligned", "blast", "vsearch"}};
  bool published = true;
  FeatureOptions features;
  /// Of kFinetune: trains this model further, or its architecture from random weights, on `train`,
  /// and asks it about `test`. Given by a layer above (finetune/). Collective.
  std::function<ClassificationCell(const std::filesystem::path& model, bool from_scratch)> finetune;
  std::string finetune_identity;  ///< what its results follow from, model and data apart
  std::filesystem::path cells;    ///< folder of finished cells
};

struct TableRow {
  enum class Kind { kModel, kEmbeddings, kBaseline, kQuoted };
  std::string name, note;
  std::string identity;  ///< what the cells are of: fingerprint and precision of a model, …
  Kind kind = Kind::kModel;
  std::optional<ClassificationCell> unseen, species, linear, finetuned;
  std::optional<ClusteringCell> clustering, ward;
  std::optional<CostCell> cost;
  std::optional<MapCell> map;

  /// What the table shows, as shares of 1: from the cells, or quoted.
  struct Shown {
    std::optional<double> unseen, species, linear, finetuned, ami, ami_without_umap, harmonic_mean;
  };
  Shown shown;
  /// Of embedding a barcode or, where nothing is embedded, of searching for one.
  std::optional<double> seconds_per_barcode;
};
/// "model", "embeddings", "baseline", "quoted".
const char* to_string(TableRow::Kind kind);

struct TableResult {
  TableOptions options;
  std::string data;
  std::vector<TableRow> rows;
  std::int64_t reused = 0;  ///< cells taken from the folder

  std::string to_text() const;  ///< for a terminal
  std::string to_csv() const;   ///< one line a row, shares of 1
  /// {"task": "table", …, "rows": [{"name", "unseen": {…}, …}]}
  nlohmann::ordered_json to_json() const;
};

/// 2ab / (a + b); 0 when a + b is not positive.
double harmonic_mean(double a, double b);

/// Fills the table, cell by cell; each finished one is kept, so that a repeated call goes on where
/// the last one ended. Throws UserError when a model, the data or embeddings cannot be used, splits
/// are missing or on two sides, or a question makes no sense for these data. Collective: each
/// process embeds its share; rank 0 alone does the rest and has the rows.
TableResult evaluate_table(const std::vector<TableSource>& sources,
                           const std::filesystem::path& data, const TableOptions& options,
                           Communicator& communicator);

}  // namespace barcodemae
