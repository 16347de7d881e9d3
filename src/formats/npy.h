// SPDX-License-Identifier: MIT
// NumPy's .npy, version 1.0 to 3.0: two-dimensional, C order, little-endian float32 or float16.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "base/atomic_file.h"

namespace barcodemae {

/// A matrix in host memory, row-major.
struct Matrix {
  std::int64_t rows = 0, cols = 0;
  std::vector<float> values;

  std::span<float> row(std::int64_t r) {
    return {values.data() + r * cols, static_cast<std::size_t>(cols)};
  }
  std::span<const float> row(std::int64_t r) const {
    return {values.data() + r * cols, static_cast<std::size_t>(cols)};
  }
};

/// Throws UserError when the file is no such array.
Matrix read_npy(const std::filesystem::path& path);
void write_npy(const std::filesystem::path& path, const Matrix& matrix);

/// Writes row by row without knowing the number of rows beforehand.
class NpyWriter {
 public:
  NpyWriter(const std::filesystem::path& path, std::int64_t cols);
  void append(std::span<const float> row);
  void commit();

 private:
  AtomicFile file_;
  std::int64_t rows_ = 0, cols_;
};

}  // namespace barcodemae
