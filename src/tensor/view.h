// SPDX-License-Identifier: MIT
// The one shape of data that ops and backends exchange.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace barcodemae {

enum class DType : std::uint8_t { kFloat32, kFloat64, kBFloat16, kInt32, kInt8 };

constexpr std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
      return 8;
    case DType::kBFloat16:
      return 2;
    case DType::kFloat32:
    case DType::kInt32:
      return 4;
    case DType::kInt8:
      return 1;
  }
  return 0;
}

const char* to_string(DType dtype);
/// As options and reports name precisions: "f32", "f64", "bf16", "int8".
const char* precision_name(DType dtype);
DType precision_named(std::string_view name);  ///< Throws InternalError for any other.

/// A matrix [rows, cols], row-major and compact, in the backend's memory. Vectors have one row. It
/// owns nothing; nothing outside src/backend/ dereferences `data`.
struct View {
  void* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  DType dtype = DType::kFloat32;

  std::int64_t size() const { return rows * cols; }
  std::size_t bytes() const { return static_cast<std::size_t>(size()) * size_of(dtype); }
  /// Rows first … first + count − 1 of this view.
  View slice_rows(std::int64_t first, std::int64_t count) const {
    return {static_cast<std::byte*>(data) + static_cast<std::size_t>(first * cols) * size_of(dtype),
            count, cols, dtype};
  }
};

/// Opaque bytes in the backend's memory: what a kernel saved for its backward pass, or scratch.
struct Bytes {
  void* data = nullptr;
  std::size_t size = 0;
};

}  // namespace barcodemae
