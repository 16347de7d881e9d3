// SPDX-License-Identifier: MIT
// The models of tests/golden/, computed by PyTorch and transformers (tools/dump_golden.py).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/batch.h"
#include "formats/safetensors.h"
#include "nn/objective.h"

namespace barcodemae {

struct Golden {
  /// Reads tests/golden/<name>.safetensors.
  explicit Golden(const std::string& name);

  std::vector<float> floats(const std::string& name, std::int64_t rows, std::int64_t cols) const {
    return file.floats(name, rows, cols);
  }
  std::vector<std::int32_t> integers(const std::string& name) const;
  double number(const std::string& key) const { return std::stod(file.metadata().at(key)); }
  /// Uploads the weights the golden model had.
  void load_weights(Parameters& parameters) const;

  SafetensorsFile file;
  ModelConfig config;
  PackedBatch batch;
  MaskingPlan plan;
  GlobalCounts counts;
  double masked_weight = 1;
};

/// Largest magnitude.
double largest(const std::vector<float>& values);
/// Largest difference of elements, which are expected to be as many; infinite when one is no
/// number.
double distance(const std::vector<float>& a, const std::vector<float>& b);

}  // namespace barcodemae
