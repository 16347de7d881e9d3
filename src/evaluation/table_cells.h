// SPDX-License-Identifier: MIT
// The cells of the paper's table, and the folder that keeps the finished ones.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "analysis/classification.h"
#include "communication/communicator.h"
#include "evaluation/still_right.h"

namespace barcodemae {

/// How often labels were told right.
struct ClassificationCell {
  std::int64_t train = 0;  ///< keys, or records trained on
  std::int64_t queries = 0, correct = 0;
  std::int64_t unreachable = 0;  ///< queries whose label none of the former has: wrong by nature
  double accuracy = 0, balanced_accuracy = 0, macro_f1 = 0;
  double seconds = 0;              ///< of search or training, embedding left out
  std::vector<StillRight> wrong;   ///< finest rank first
  double validation_accuracy = 0;  ///< of a probe that was chosen by it; else 0
};

/// Of scores; seconds and what comes after it stay empty.
ClassificationCell cell_of(const ClassificationScores& scores, std::int64_t train);

/// How well clusters bring labels back.
struct ClusteringCell {
  std::int64_t records = 0, labels = 0, clusters = 0;
  double ami = 0, ari = 0, homogeneity = 0, completeness = 0;
  double seconds = 0;
};

/// What embedding one barcode costs.
struct CostCell {
  std::int64_t parameters = 0;  ///< of the encoder and of the readout that it may have
  double gflop = 0;             ///< products with weights (nn/flops.h), per barcode
  double seconds = 0;           ///< per barcode, measured
  std::int64_t barcodes = 0;    ///< measured on so many
};

/// Vectors laid out in the plane.
struct MapCell {
  std::string rank;                 ///< that the points are coloured by
  std::vector<std::string> labels;  ///< the most frequent first
  std::vector<float> x, y;
  std::vector<std::int32_t> label;  ///< of each point; −1: another, or none
  std::int64_t records = 0;         ///< that the points are a sample of
};

void to_json(nlohmann::ordered_json& json, const ClassificationCell& cell);
void from_json(const nlohmann::ordered_json& json, ClassificationCell& cell);
void to_json(nlohmann::ordered_json& json, const ClusteringCell& cell);
void from_json(const nlohmann::ordered_json& json, ClusteringCell& cell);
void to_json(nlohmann::ordered_json& json, const CostCell& cell);
void from_json(const nlohmann::ordered_json& json, CostCell& cell);
void to_json(nlohmann::ordered_json& json, const MapCell& cell);
void from_json(const nlohmann::ordered_json& json, MapCell& cell);

/// A folder of finished cells, one small JSON file each, named by task and a fingerprint of what
/// the cell follows from.
class CellStore {
 public:
  /// Makes the folder. Throws UserError when it cannot be made.
  CellStore(const std::filesystem::path& folder, Communicator& communicator);

  /// The cell kept for `task` and `identity` (any text that names model, data and options), or what
  /// `compute` returns, which is then kept if it is a cell at all. A file that is damaged or of
  /// another identity is computed again. Collective, `compute` too; only rank 0's result is meant.
  template <typename Cell>
  std::optional<Cell> get(const std::string& task, const std::string& identity,
                          const std::function<std::optional<Cell>()>& compute) {
    Cell kept;
    if (found(task, identity, [&](const auto& json) { kept = json.template get<Cell>(); })) {
      return kept;
    }
    std::optional<Cell> cell = compute();
    if (cell) keep(task, identity, *cell);
    return cell;
  }

  std::int64_t reused() const { return reused_; }

 private:
  std::filesystem::path file(const std::string& task, const std::string& identity) const;
  bool found(const std::string& task, const std::string& identity,
             const std::function<void(const nlohmann::ordered_json&)>& take);
  void keep(const std::string& task, const std::string& identity,
            const nlohmann::ordered_json& cell) const;

  std::filesystem::path folder_;
  Communicator& communicator_;
  std::int64_t reused_ = 0;
};

}  // namespace barcodemae
