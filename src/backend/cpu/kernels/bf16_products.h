// SPDX-License-Identifier: MIT
// Small matrix products of bfloat16 matrices into float32, C = A · B: with AMX tiles where the
// including file is compiled for them, else with the dot products of AVX512-BF16. Both read the
// same operands:
//   A [rows, depth]  row-major, rows padded to 16, depth padded to 32;
//   B [depth / 2, cols] of pairs (B[2k, j], B[2k + 1, j]), cols padded to 16;
//   C [rows padded, cols padded] float32.
// Padding of `depth` must be 0 in one operand and finite in the other.
#pragma once

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/lanes.h"
#include "backend/cpu/kernels/scratch.h"
#include "backend/cpu/kernels/tiles.h"

namespace barcodemae::cpu {
namespace {

using Pair = std::uint32_t;  ///< two bfloat16, the first in the low half

#if defined(BARCODEMAE_AMX)

constexpr TileConfiguration kTileConfiguration;

/// Owns the tile registers of this thread for its lifetime.
class ProductUnit {
 public:
  ProductUnit() { _tile_loadconfig(&kTileConfiguration); }
  ~ProductUnit() { _tile_release(); }
  ProductUnit(const ProductUnit&) = delete;
  ProductUnit& operator=(const ProductUnit&) = delete;
};

/// One or two tile rows times one or two tile columns.
template <int kRows, int kCols>
void multiply_tiles(float* c, std::int64_t c_stride, const BFloat16* a, std::int64_t a_stride,
                    const Pair* b, std::int64_t b_stride, std::int64_t depth, bool accumulate) {
  const std::int64_t c_bytes = c_stride * 4, a_bytes = a_stride * 2, b_bytes = b_stride * 4;
  if (accumulate) {
    _tile_loadd(0, c, c_bytes);
    if constexpr (kCols == 2) _tile_loadd(1, c + 16, c_bytes);
    if constexpr (kRows == 2) _tile_loadd(2, c + 16 * c_stride, c_bytes);
    if constexpr (kRows == 2 && kCols == 2) _tile_loadd(3, c + 16 * c_stride + 16, c_bytes);
  } else {
    _tile_zero(0);
    if constexpr (kCols == 2) _tile_zero(1);
    if constexpr (kRows == 2) _tile_zero(2);
    if constexpr (kRows == 2 && kCols == 2) _tile_zero(3);
  }
  for (std::int64_t k = 0; k < depth; k += 32) {
    _tile_loadd(4, a + k, a_bytes);
    _tile_loadd(6, b + k / 2 * b_stride, b_bytes);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kCols == 2) {
      _tile_loadd(7, b + k / 2 * b_stride + 16, b_bytes);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (kRows == 2) {
      _tile_loadd(5, a + 16 * a_stride + k, a_bytes);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (kCols == 2) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c, c_bytes);
  if constexpr (kCols == 2) _tile_stored(1, c + 16, c_bytes);
  if constexpr (kRows == 2) _tile_stored(2, c + 16 * c_stride, c_bytes);
  if constexpr (kRows == 2 && kCols == 2) _tile_stored(3, c + 16 * c_stride + 16, c_bytes);
}

/// C (+)= A · B; rows and cols are rounded up to tiles of 16, depth to 32.
[[gnu::noinline]] void multiply_pairs(float* c, std::int64_t c_stride, const BFloat16* a,
                                      std::int64_t a_stride, const Pair* b, std::int64_t b_stride,
                                      std::int64_t rows, std::int64_t cols, std::int64_t depth,
                                      bool accumulate) {
  // GCC 12 does not know that tile loads read memory.
  __asm__ volatile("" ::: "memory");
  for (std::int64_t i = 0; i < rows; i += 32) {
    for (std::int64_t j = 0; j < cols; j += 32) {
      float* tile = c + i * c_stride + j;
      const bool two_rows = i + 16 < rows, two_cols = j + 16 < cols;
      const auto product = two_rows ? (two_cols ? multiply_tiles<2, 2> : multiply_tiles<2, 1>)
                                    : (two_cols ? multiply_tiles<1, 2> : multiply_tiles<1, 1>);
      product(tile, c_stride, a + i * a_stride, a_stride, b + j, b_stride, depth, accumulate);
    }
  }
  __asm__ volatile("" ::: "memory");
}

#else

struct ProductUnit {
  ProductUnit() {}
};

template <int kRows, int kVectors>
BARCODEMAE_INLINE void multiply_dots(float* c, std::int64_t c_stride, const BFloat16* a,
                                     std::int64_t a_stride, const Pair* b, std::int64_t b_stride,
                                     std::int64_t depth, bool accumulate) {
  __m512 sums[kRows][kVectors];
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      sums[i][v] = accumulate ? _mm512_loadu_ps(c + i * c_stride + v * 16) : _mm512_setzero_ps();
    }
  }
  for (std::int64_t k = 0; k < depth; k += 2) {
    __m512bh right[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      right[v] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + k / 2 * b_stride + v * 16));
    }
    for (int i = 0; i < kRows; ++i) {
      int pair;
      __builtin_memcpy(&pair, a + i * a_stride + k, sizeof pair);
      const auto left = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
      for (int v = 0; v < kVectors; ++v) {
        sums[i][v] = _mm512_dpbf16_ps(sums[i][v], left, right[v]);
      }
    }
  }
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      _mm512_storeu_ps(c + i * c_stride + v * 16, sums[i][v]);
    }
  }
}

template <int kVectors>
void multiply_dot_strip(float* c, std::int64_t c_stride, const BFloat16* a, std::int64_t a_stride,
                        const Pair* b, std::int64_t b_stride, std::int64_t rows, std::int64_t depth,
                        bool accumulate) {
  std::int64_t i = 0;
  for (; i + 6 <= rows; i += 6) {
    multiply_dots<6, kVectors>(c + i * c_stride, c_stride, a + i * a_stride, a_stride, b, b_stride,
                               depth, accumulate);
  }
  for (; i < rows; ++i) {
    multiply_dots<1, kVectors>(c + i * c_stride, c_stride, a + i * a_stride, a_stride, b, b_stride,
                               depth, accumulate);
  }
}

/// C (+)= A · B; cols are rounded up to 16, depth to 2.
void multiply_pairs(float* c, std::int64_t c_stride, const BFloat16* a, std::int64_t a_stride,
                    const Pair* b, std::int64_t b_stride, std::int64_t rows, std::int64_t cols,
                    std::int64_t depth, bool accumulate) {
  std::int64_t j = 0;
  for (; j + 48 < cols; j += 64) {
    multiply_dot_strip<4>(c + j, c_stride, a, a_stride, b + j, b_stride, rows, depth, accumulate);
  }
  const auto rest = cols - j > 32   ? multiply_dot_strip<3>
                    : cols - j > 16 ? multiply_dot_strip<2>
                                    : multiply_dot_strip<1>;
  if (j < cols) rest(c + j, c_stride, a, a_stride, b + j, b_stride, rows, depth, accumulate);
}

#endif

/// Elements first … first + 31 of a row of `cols`, zeros beyond.
BARCODEMAE_INLINE __m512i load_32(const BFloat16* row, std::int64_t first, std::int64_t cols) {
  const std::int64_t left = cols - first;
  if (left >= 32) return _mm512_loadu_si512(row + first);
  return _mm512_maskz_loadu_epi16(left <= 0 ? 0 : (1u << left) - 1, row + first);
}

/// A-operand: rows copied, zeros up to out_rows × out_cols (a multiple of 32).
void pack_left(BFloat16* out, std::int64_t out_rows, std::int64_t out_cols, const BFloat16* x,
               std::int64_t x_stride, std::int64_t rows, std::int64_t cols) {
  for (std::int64_t r = 0; r < out_rows; ++r) {
    for (std::int64_t c = 0; c < out_cols; c += 32) {
      const __m512i v = r < rows ? load_32(x + r * x_stride, c, cols) : _mm512_setzero_si512();
      _mm512_storeu_si512(out + r * out_cols + c, v);
    }
  }
}

/// B-operand of x [rows, cols] itself: out [out_rows / 2, out_cols] pairs, out_cols a multiple
/// of 16.
void pack_right(Pair* out, std::int64_t out_rows, std::int64_t out_cols, const BFloat16* x,
                std::int64_t x_stride, std::int64_t rows, std::int64_t cols) {
  __m512i low, high;  // where pairs of columns 0–15 and 16–31 come from
  alignas(64) std::uint16_t low_index[32], high_index[32];
  for (int i = 0; i < 32; ++i) {
    low_index[i] = static_cast<std::uint16_t>(i / 2 + i % 2 * 32);
    high_index[i] = static_cast<std::uint16_t>(low_index[i] + 16);
  }
  low = _mm512_load_si512(low_index);
  high = _mm512_load_si512(high_index);
  for (std::int64_t r = 0; r < out_rows; r += 2) {
    Pair* to = out + r / 2 * out_cols;
    for (std::int64_t c = 0; c < out_cols; c += 32) {
      const __m512i zero = _mm512_setzero_si512();
      const __m512i first = r < rows ? load_32(x + r * x_stride, c, cols) : zero;
      const __m512i second = r + 1 < rows ? load_32(x + (r + 1) * x_stride, c, cols) : zero;
      _mm512_storeu_si512(to + c, _mm512_permutex2var_epi16(first, low, second));
      if (c + 16 < out_cols) {
        _mm512_storeu_si512(to + c + 16, _mm512_permutex2var_epi16(first, high, second));
      }
    }
  }
}

/// B-operand of the transpose of x [rows, cols]: out [out_depth / 2, out_cols] pairs along x's
/// rows, out_depth (≥ cols) a multiple of 32, out_cols (≥ rows) of 16.
void pack_right_transposed(Pair* out, std::int64_t out_depth, std::int64_t out_cols,
                           const BFloat16* x, std::int64_t x_stride, std::int64_t rows,
                           std::int64_t cols) {
  for (std::int64_t r = 0; r < out_cols; r += 16) {
    for (std::int64_t c = 0; c < out_depth; c += 32) {
      __m512i m[16];
      for (int i = 0; i < 16; ++i) {
        m[i] = r + i < rows ? load_32(x + (r + i) * x_stride, c, cols) : _mm512_setzero_si512();
      }
      transpose(m);
      for (int i = 0; i < 16; ++i) _mm512_storeu_si512(out + (c / 2 + i) * out_cols + r, m[i]);
    }
  }
}

}  // namespace
}  // namespace barcodemae::cpu
