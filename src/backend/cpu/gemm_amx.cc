// SPDX-License-Identifier: MIT
#include "backend/cpu/gemm_amx.h"

#include <immintrin.h>

#include "backend/cpu/gemm_amx_loop.h"
#include "backend/cpu/kernels/gelu_values.h"
#include "backend/cpu/kernels/tiles.h"

namespace barcodemae::cpu::amx {
namespace {

// 32 numbers of row `row`; zeros beyond the matrix.
__m512i row_or_zeros(const std::uint16_t* data, std::int64_t row, std::int64_t rows,
                     std::int64_t stride, std::int64_t col) {
  if (row >= rows) return _mm512_setzero_si512();
  return _mm512_maskz_loadu_epi16(first_lanes32(stride - col), data + row * stride + col);
}

// Two rows of 32 numbers as 32-bit pairs of columns 0 … 15 and 16 … 31.
void interleave(__m512i even, __m512i odd, __m512i& low, __m512i& high) {
  alignas(64) static constexpr std::uint16_t kLow[32] = {0,  32, 1,  33, 2,  34, 3,  35, 4,  36, 5,
                                                         37, 6,  38, 7,  39, 8,  40, 9,  41, 10, 42,
                                                         11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  const __m512i pick = _mm512_load_si512(kLow);
  low = _mm512_permutex2var_epi16(even, pick, odd);
  high = _mm512_permutex2var_epi16(even, _mm512_add_epi16(pick, _mm512_set1_epi16(16)), odd);
}

// What is not read again before much else was written.
void store_past_caches(std::uint16_t* line, __m512i value) {
  _mm512_stream_si512(reinterpret_cast<__m512i*>(line), value);
}

__m512i rounded_pairs(__m512 even, __m512 odd) {
  const auto widen = [](__m512 x) {
    return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
  };
  return _mm512_or_si512(widen(even), _mm512_slli_epi32(widen(odd), 16));
}

}  // namespace

void pack_left(std::uint16_t* left, const std::uint16_t* a, std::int64_t rows, std::int64_t inner) {
  for (std::int64_t row = 0; row < rows; row += kBlock) {
    for (std::int64_t k = 0; k < inner; k += kBlock) {
      for (std::int64_t r = 0; r < kBlock; ++r, left += kBlock) {
        _mm512_store_si512(left, row_or_zeros(a, row + r, rows, inner, k));
      }
    }
  }
}

void pack_left_transposed(std::uint16_t* left, std::int64_t inner_blocks, std::int64_t first_inner,
                          const std::uint16_t* a, std::int64_t rows, std::int64_t padded_rows,
                          std::int64_t cols) {
  for (std::int64_t col = 0; col < cols; col += kBlock) {
    std::uint16_t* block =
        left + (col / kBlock * inner_blocks + first_inner / kBlock) * kBlockElements;
    for (std::int64_t row = 0; row < padded_rows; row += kBlock, block += kBlockElements) {
      __m512i low[16], high[16];
      for (std::int64_t pair = 0; pair < 16; ++pair) {
        interleave(row_or_zeros(a, row + 2 * pair, rows, cols, col),
                   row_or_zeros(a, row + 2 * pair + 1, rows, cols, col), low[pair], high[pair]);
      }
      transpose(low);
      transpose(high);
      for (std::int64_t r = 0; r < 16; ++r) {
        store_past_caches(block + r * kBlock, low[r]);
        store_past_caches(block + (16 + r) * kBlock, high[r]);
      }
    }
  }
}

void pack_right(std::uint16_t* right, std::int64_t inner_blocks, std::int64_t first_inner,
                const std::uint16_t* b, std::int64_t rows, std::int64_t padded_rows,
                std::int64_t cols) {
  for (std::int64_t col = 0; col < cols; col += kBlock) {
    std::uint16_t* block =
        right + (col / kBlock * inner_blocks + first_inner / kBlock) * kBlockElements;
    for (std::int64_t row = 0; row < padded_rows; row += kBlock, block += kBlockElements) {
      for (std::int64_t pair = 0; pair < 16; ++pair) {
        __m512i low, high;
        interleave(row_or_zeros(b, row + 2 * pair, rows, cols, col),
                   row_or_zeros(b, row + 2 * pair + 1, rows, cols, col), low, high);
        store_past_caches(block + pair * kBlock, low);
        store_past_caches(block + (16 + pair) * kBlock, high);
      }
    }
  }
}

namespace {

// Sixteen columns from `col` on of the block that begins at inner element `k`.
void pack_half_block(std::uint16_t* half, const RightSource& source, std::int64_t k,
                     std::int64_t col) {
  const auto load = [](const float* row, std::int64_t count) {
    return _mm512_maskz_loadu_ps(first_lanes(count), row);
  };
  const std::int64_t inner = source.inner, cols = source.cols;
  __m512i tile[16];
  for (std::int64_t i = 0; i < 16; ++i) {
    tile[i] = _mm512_setzero_si512();
    if (source.transposed) {  // i: a column of b, its inner elements side by side
      if (col + i >= cols) continue;
      const float* row = source.b + (col + i) * inner + k;
      tile[i] = reinterpret_cast<__m512i>(
          _mm512_cvtne2ps_pbh(load(row + 16, inner - k - 16), load(row, inner - k)));
    } else {  // i: two inner elements
      const float* row = source.b + (k + 2 * i) * cols + col;
      if (k + 2 * i >= inner) continue;
      const __m512 odd = k + 2 * i + 1 < inner ? load(row + cols, cols - col) : _mm512_setzero_ps();
      tile[i] = rounded_pairs(load(row, cols - col), odd);
    }
  }
  if (source.transposed) transpose(tile);
  for (std::int64_t i = 0; i < 16; ++i) store_past_caches(half + i * kBlock, tile[i]);
}

}  // namespace

void pack_right(std::uint16_t* right, const RightSource& source, Range inner, Range cols) {
  for (std::int64_t col = cols.begin; col < cols.end; col += kBlock) {
    for (std::int64_t k = inner.begin; k < inner.end; k += kBlock) {
      std::uint16_t* block =
          right + (col / kBlock * blocks(source.inner) + k / kBlock) * kBlockElements;
      pack_half_block(block, source, k, col);
      pack_half_block(block + kBlockElements / 2, source, k, col + 16);
    }
  }
  finish_stores();
}

namespace {

// Two halves of a row of a block in float32.
struct Row {
  __m512 low, high;
};

// One row as bfloat16.
__m512i rounded(const Row& row) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(row.high, row.low));
}

Row widened(__m512i row) {
  const auto widen = [](__m256i half) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
  };
  return {widen(_mm512_castsi512_si256(row)), widen(_mm512_extracti64x4_epi64(row, 1))};
}

void store_block(const Product& product, const float* block, const Row& bias, std::int64_t row,
                 std::int64_t col) {
  const std::int64_t rows = product.rows - row < kBlock ? product.rows - row : kBlock;
  const std::int64_t cols = product.cols - col;
  const __mmask16 low = first_lanes(cols), high = first_lanes(cols - 16);
  for (std::int64_t r = 0; r < rows; ++r) {
    Row out{_mm512_add_ps(_mm512_load_ps(block + r * kBlock), bias.low),
            _mm512_add_ps(_mm512_load_ps(block + r * kBlock + 16), bias.high)};
    const std::int64_t at = (row + r) * product.c_stride + col;
    if (product.float32) {
      float* c = static_cast<float*>(product.c) + at;
      if (product.finish == Product::Finish::kAdd) {
        out.low = _mm512_add_ps(out.low, _mm512_maskz_loadu_ps(low, c));
        out.high = _mm512_add_ps(out.high, _mm512_maskz_loadu_ps(high, c + 16));
      }
      _mm512_mask_storeu_ps(c, low, out.low);
      _mm512_mask_storeu_ps(c + 16, high, out.high);
    } else {
      auto* c = static_cast<std::uint16_t*>(product.c) + at;
      _mm512_mask_storeu_epi16(c, (static_cast<__mmask32>(high) << 16) | low, rounded(out));
    }
  }
}

void gelu_block(const Product& product, const float* block, const Row& bias, std::uint16_t* pre,
                std::uint16_t* hidden) {
  for (std::int64_t r = 0; r < kBlock; ++r) {
    const Row sum{_mm512_add_ps(_mm512_load_ps(block + r * kBlock), bias.low),
                  _mm512_add_ps(_mm512_load_ps(block + r * kBlock + 16), bias.high)};
    const __m512i bits = rounded(sum);
    if (product.pre != nullptr) store_past_caches(pre + r * kBlock, bits);
    const Row z = widened(bits);  // what the backward pass will see
    const Row out{gelu_value(z.low, BFloat16{}), gelu_value(z.high, BFloat16{})};
    _mm512_store_si512(hidden + r * kBlock, rounded(out));
  }
}

void gelu_gradient_block(const Product& product, const float* block, const std::uint16_t* pre,
                         std::uint16_t* dpre, std::int64_t row, std::int64_t col) {
  alignas(64) std::uint16_t hidden[kBlockElements];
  Row sums{_mm512_setzero_ps(), _mm512_setzero_ps()};
  for (std::int64_t r = 0; r < kBlock; ++r) {
    const Row z = widened(_mm512_load_si512(pre + r * kBlock));
    const Row out{gelu_value(z.low, BFloat16{}), gelu_value(z.high, BFloat16{})};
    _mm512_store_si512(hidden + r * kBlock, rounded(out));
    const Row slope{gelu_slope(z.low, BFloat16{}), gelu_slope(z.high, BFloat16{})};
    const __m512i bits =
        rounded({_mm512_mul_ps(_mm512_load_ps(block + r * kBlock), slope.low),
                 _mm512_mul_ps(_mm512_load_ps(block + r * kBlock + 16), slope.high)});
    _mm512_store_si512(dpre + r * kBlock, bits);
    const Row stored = widened(bits);
    sums.low = _mm512_add_ps(sums.low, stored.low);
    sums.high = _mm512_add_ps(sums.high, stored.high);
  }
  const __mmask16 low = first_lanes(product.cols - col),
                  high = first_lanes(product.cols - col - 16);
  float* dbias = product.dbias + col;
  _mm512_mask_storeu_ps(dbias, low, _mm512_add_ps(sums.low, _mm512_maskz_loadu_ps(low, dbias)));
  _mm512_mask_storeu_ps(dbias + 16, high,
                        _mm512_add_ps(sums.high, _mm512_maskz_loadu_ps(high, dbias + 16)));
  const auto place = [&](const OperandPlace& operand) {
    return operand.memory + col / kBlock * operand.inner_blocks * kBlockElements;
  };
  const OperandPlace &left = product.dpre_operand, &right = product.hidden_operand;
  pack_left_transposed(place(left), left.inner_blocks, left.first_inner + row, dpre, kBlock, kBlock,
                       kBlock);
  pack_right(place(right), right.inner_blocks, right.first_inner + row, hidden, kBlock, kBlock,
             kBlock);
}

// A finished block goes where it belongs.
void finish_block(const Product& product, const float* block, std::int64_t row, std::int64_t col) {
  Row bias{_mm512_setzero_ps(), _mm512_setzero_ps()};
  if (product.bias != nullptr) {
    bias.low = _mm512_maskz_loadu_ps(first_lanes(product.cols - col), product.bias + col);
    bias.high =
        _mm512_maskz_loadu_ps(first_lanes(product.cols - col - 16), product.bias + col + 16);
  }
  const std::int64_t by_cols =
      (col / kBlock * blocks(product.rows) + row / kBlock) * kBlockElements;
  const std::int64_t by_rows =
      (row / kBlock * blocks(product.cols) + col / kBlock) * kBlockElements;
  std::uint16_t* pre = product.pre != nullptr ? product.pre + by_cols : nullptr;
  switch (product.finish) {
    case Product::Finish::kStore:
    case Product::Finish::kAdd:
      return store_block(product, block, bias, row, col);
    case Product::Finish::kGelu:
      return gelu_block(product, block, bias, pre, product.hidden + by_rows);
    case Product::Finish::kGeluGradient:
      return gelu_gradient_block(product, block, pre, product.dpre + by_rows, row, col);
  }
}

}  // namespace

void finish_stores() { _mm_sfence(); }

std::int64_t scratch_floats(std::int64_t cols, std::int64_t inner) {
  return loop_scratch(cols, blocks(inner));
}

namespace {

struct BFloat16Dots {
  static void accumulate() {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
};

}  // namespace

void multiply(const Product& product) {
  const BlockLoop loop{product.left, product.right, product.rows, product.cols,
                       blocks(product.inner)};
  multiply_blocks<BFloat16Dots>(loop, product.scratch,
                                [&](const float* block, std::int64_t row, std::int64_t col) {
                                  finish_block(product, block, row, col);
                                });
  finish_stores();
}

}  // namespace barcodemae::cpu::amx
