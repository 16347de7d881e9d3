// SPDX-License-Identifier: MIT
// NumPy's .npy, version 1.0 to 3.0: two-dimensional, in either order of rows and columns,
// little-endian float16, float32 or float64 (which is rounded to float32).
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include "base/atomic_file.h"

namespace barcodemae {

/// How the numbers of an .npy file are stored.
enum class NpyType { kFloat32, kFloat16 };

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

inline Matrix zero_matrix(std::int64_t rows, std::int64_t cols) {
  return {rows, cols, std::vector<float>(static_cast<std::size_t>(rows * cols))};
}

/// Throws UserError (file, what was expected, what to do) when the file is no such array, or has
/// more or fewer bytes than its shape needs.
Matrix read_npy(const std::filesystem::path& path);
/// The same from a stream of `size` bytes (fuzzing); `source` names it in messages.
Matrix parse_npy(std::istream& stream, std::uint64_t size, const std::string& source);
void write_npy(const std::filesystem::path& path, const Matrix& matrix);

/// Writes row by row without knowing the number of rows beforehand. Float16 rounds to nearest, and
/// beyond 65,519 to infinity.
class NpyWriter {
 public:
  NpyWriter(const std::filesystem::path& path, std::int64_t cols, NpyType type = NpyType::kFloat32);
  void append(std::span<const float> row);
  std::int64_t rows() const { return rows_; }
  /// Completes the file on the disk, without making it appear yet. Throws UserError as AtomicFile
  /// does.
  void finish();
  /// Makes it appear, finished or not before.
  void commit();

 private:
  void flush();

  AtomicFile file_;
  std::int64_t rows_ = 0, cols_;
  NpyType type_;
  std::string buffer_;
  bool finished_ = false;
};

}  // namespace barcodemae
