// SPDX-License-Identifier: MIT
// Products of int8 matrices on AMX tiles: exact sums in int32, made floats again by a scale for
// each row of the left and each column of the right side. Blocks as in gemm_amx.h, but with 64
// inner elements to a row of 64 bytes; a right tile row is four inner elements of 16 columns.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cpu/gemm_amx.h"

namespace barcodemae::cpu::amx {

constexpr std::int64_t int8_blocks(std::int64_t inner) { return (inner + 63) / 64; }
constexpr std::size_t int8_packed_bytes(std::int64_t count, std::int64_t inner) {
  return static_cast<std::size_t>(blocks(count) * int8_blocks(inner)) * 2048;
}

/// The left side from bfloat16 [rows, inner], row r as round(a / scales[r]) with scales[r] = its
/// largest magnitude / 127. That magnitude is the largest of partial_largest[r, 16], or, if null,
/// looked up here. `scales`: blocks(rows) · 32 numbers.
void pack_left_int8(std::int8_t* left, float* scales, const std::uint16_t* a, std::int64_t rows,
                    std::int64_t inner, const float* partial_largest);

/// The right side [inner, cols] from its transpose [cols, inner].
void pack_right_int8(std::int8_t* right, const std::int8_t* b, std::int64_t inner,
                     std::int64_t cols);

/// left · right ∘ (row_scales · col_scales) + bias, [rows, cols], and what becomes of it.
struct Int8Product {
  const std::int8_t *left = nullptr, *right = nullptr;
  std::int64_t rows = 0, cols = 0, inner = 0;
  const float *row_scales = nullptr, *col_scales = nullptr;
  const float* bias = nullptr;      ///< [cols], or null
  std::int32_t* scratch = nullptr;  ///< int8_scratch()

  void* c = nullptr;     ///< [rows, cols]
  bool float32 = false;  ///< c's type; else bfloat16
  /// Or null: then c = gelu(it), bfloat16, and here are magnitudes [rows, 16] whose largest is that
  /// of the row.
  float* partial_largest = nullptr;
};
std::int64_t int8_scratch(std::int64_t cols, std::int64_t inner);
void multiply(const Int8Product& product);

}  // namespace barcodemae::cpu::amx
