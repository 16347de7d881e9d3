// SPDX-License-Identifier: MIT
// What umap-learn, scipy and scikit-learn make of fixed points (tools/dump_clustering.py).
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "formats/npy.h"

namespace barcodemae {

inline const std::string kClusteringGolden = BARCODEMAE_TEST_DATA "/golden/clustering/";

inline const nlohmann::json& clustering_golden() {
  static const auto golden =
      nlohmann::json::parse(std::ifstream(kClusteringGolden + "golden.json"));
  return golden;
}
inline Matrix clustering_points() { return read_npy(kClusteringGolden + "points.npy"); }

using Labels = std::vector<std::int32_t>;

}  // namespace barcodemae
