// SPDX-License-Identifier: MIT
#include "backend/cpu/gemm_amx_int8.h"

#include <immintrin.h>

#include "backend/cpu/gemm_amx_loop.h"
#include "backend/cpu/kernels/gelu_values.h"

namespace barcodemae::cpu::amx {
namespace {

__m512 widened(__m256i bits) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

// 16 bfloat16 of a row from `col`; zeros where it has ended.
__m512 load16(const std::uint16_t* row, std::int64_t col, std::int64_t cols) {
  return widened(_mm256_maskz_loadu_epi16(first_lanes(cols - col), row + col));
}

float largest_magnitude(const std::uint16_t* row, std::int64_t cols) {
  // Magnitudes of bfloat16 are in the order of their bits.
  const __m512i magnitude = _mm512_set1_epi16(0x7FFF);
  __m512i largest = _mm512_setzero_si512();
  for (std::int64_t col = 0; col < cols; col += 32) {
    const __m512i bits = _mm512_maskz_loadu_epi16(first_lanes32(cols - col), row + col);
    largest = _mm512_max_epu16(largest, _mm512_and_si512(bits, magnitude));
  }
  return _mm512_reduce_max_ps(_mm512_max_ps(widened(_mm512_castsi512_si256(largest)),
                                            widened(_mm512_extracti64x4_epi64(largest, 1))));
}

// 64 numbers of a row as int8.
__m512i quantised(const std::uint16_t* row, std::int64_t col, std::int64_t cols, __m512 inverse) {
  const auto part = [&](std::int64_t i) {
    return _mm512_cvtps_epi32(_mm512_mul_ps(load16(row, col + 16 * i, cols), inverse));
  };
  const __m512i low = _mm512_packs_epi32(part(0), part(1));
  const __m512i high = _mm512_packs_epi32(part(2), part(3));
  // The packs work on 128 bits each: fours of consecutive numbers have to be put in order.
  const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
  return _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high));
}

}  // namespace

void pack_left_int8(std::int8_t* left, float* scales, const std::uint16_t* a, std::int64_t rows,
                    std::int64_t inner, const float* partial_largest) {
  const std::int64_t steps = int8_blocks(inner);
  for (std::int64_t row = 0; row < blocks(rows) * kBlock; ++row) {
    std::int8_t* line = left + (row / kBlock * steps * kBlock + row % kBlock) * 64;
    if (row >= rows) {
      scales[row] = 0;
      for (std::int64_t step = 0; step < steps; ++step, line += kBlockBytes) {
        _mm512_store_si512(line, _mm512_setzero_si512());
      }
      continue;
    }
    const std::uint16_t* numbers = a + row * inner;
    const float largest = partial_largest == nullptr
                              ? largest_magnitude(numbers, inner)
                              : _mm512_reduce_max_ps(_mm512_load_ps(partial_largest + row * 16));
    scales[row] = largest / 127;
    const __m512 inverse = _mm512_set1_ps(largest > 0 ? 127 / largest : 0);
    for (std::int64_t col = 0; col < inner; col += 64, line += kBlockBytes) {
      _mm512_store_si512(line, quantised(numbers, col, inner, inverse));
    }
  }
}

void pack_right_int8(std::int8_t* right, const std::int8_t* b, std::int64_t inner,
                     std::int64_t cols) {
  for (std::int64_t col = 0; col < cols; col += kBlock) {
    for (std::int64_t k = 0; k < inner; k += 64) {
      for (std::int64_t half = 0; half < kBlock; half += 16, right += kBlockBytes / 2) {
        __m512i tile[16];
        for (std::int64_t i = 0; i < 16; ++i) {
          const std::int64_t n = col + half + i;
          const std::int64_t left_over = inner - k;
          const auto mask = left_over >= 64 ? ~__mmask64{0} : (__mmask64{1} << left_over) - 1;
          tile[i] =
              n < cols ? _mm512_maskz_loadu_epi8(mask, b + n * inner + k) : _mm512_setzero_si512();
        }
        transpose(tile);  // of fours of numbers
        for (std::int64_t i = 0; i < 16; ++i) _mm512_store_si512(right + i * 64, tile[i]);
      }
    }
  }
}

namespace {

struct Int8Dots {
  static void accumulate() {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  }
};

// 16 columns of a block: what a row needs to become floats again.
struct Columns {
  __mmask16 lanes;
  __m512 scales, bias;

  Columns(const Int8Product& product, std::int64_t col)
      : lanes(first_lanes(product.cols - col)),
        scales(_mm512_maskz_loadu_ps(lanes, product.col_scales + col)),
        bias(product.bias == nullptr ? _mm512_setzero_ps()
                                     : _mm512_maskz_loadu_ps(lanes, product.bias + col)) {}

  __m512 floats(const std::int32_t* sums, float row_scale) const {
    const __m512 scale = _mm512_mul_ps(scales, _mm512_set1_ps(row_scale));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_load_si512(sums)), scale, bias);
  }
};

void finish_block(const Int8Product& product, const std::int32_t* sums, std::int64_t row,
                  std::int64_t col) {
  const Columns low(product, col), high(product, col + 16);
  const auto both = static_cast<__mmask32>(std::uint32_t{high.lanes} << 16 | low.lanes);
  const std::int64_t rows = product.rows - row < kBlock ? product.rows - row : kBlock;
  for (std::int64_t r = 0; r < rows; ++r, sums += kBlock) {
    const float row_scale = product.row_scales[row + r];
    __m512 first = low.floats(sums, row_scale), second = high.floats(sums + 16, row_scale);
    const std::int64_t at = (row + r) * product.cols + col;
    if (product.float32) {
      float* c = static_cast<float*>(product.c) + at;
      _mm512_mask_storeu_ps(c, low.lanes, first);
      _mm512_mask_storeu_ps(c + 16, high.lanes, second);
      continue;
    }
    if (product.partial_largest != nullptr) {
      first = gelu_value(first, BFloat16{});
      second = gelu_value(second, BFloat16{});
      float* largest = product.partial_largest + (row + r) * 16;
      const __m512 before = col == 0 ? _mm512_setzero_ps() : _mm512_load_ps(largest);
      // Columns beyond the end are gelu(0).
      _mm512_store_ps(largest, _mm512_max_ps(before, _mm512_max_ps(_mm512_abs_ps(first),
                                                                   _mm512_abs_ps(second))));
    }
    _mm512_mask_storeu_epi16(static_cast<std::uint16_t*>(product.c) + at, both,
                             reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first)));
  }
}

}  // namespace

std::int64_t int8_scratch(std::int64_t cols, std::int64_t inner) {
  return loop_scratch(cols, int8_blocks(inner));
}

void multiply(const Int8Product& product) {
  const BlockLoop loop{product.left, product.right, product.rows, product.cols,
                       int8_blocks(product.inner)};
  multiply_blocks<Int8Dots>(loop, product.scratch,
                            [&](const std::int32_t* sums, std::int64_t row, std::int64_t col) {
                              finish_block(product, sums, row, col);
                            });
}

}  // namespace barcodemae::cpu::amx
