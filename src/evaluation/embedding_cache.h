// SPDX-License-Identifier: MIT
// Embeddings of a data set's records, computed once per model and data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "communication/communicator.h"
#include "formats/npy.h"

namespace barcodemae {

/// A folder of .npy files named by what they were made from. An empty folder name switches it off.
class EmbeddingCache {
 public:
  /// $BARCODEMAE_CACHE, else $XDG_CACHE_HOME/barcodemae, else ~/.cache/barcodemae; empty when there
  /// is no home.
  static std::filesystem::path default_folder();

  explicit EmbeddingCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// The matrix stored for `identity` (any text that names model, data, records and precision), or
  /// what `compute` returns, which is then stored. A folder that cannot be written is no error.
  /// Collective, `compute` too: all processes get the matrix, rank 0 alone reads and writes.
  Matrix get(const std::string& identity, Communicator& communicator,
             const std::function<Matrix()>& compute) const;

 private:
  std::optional<Matrix> find(const std::filesystem::path& file) const;
  void keep(const std::filesystem::path& file, const Matrix& matrix) const;

  std::filesystem::path folder_;
};

}  // namespace barcodemae
