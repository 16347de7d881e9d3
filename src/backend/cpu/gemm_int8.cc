// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/cpu/gemm_amx_int8.h"
#include "backend/cpu/gemm_layout.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/row_blocks.h"
#include "base/error.h"
#include "tensor/quantisation.h"

namespace barcodemae::cpu {

void pack_int8(WeightMatrix::Layout& layout, std::int64_t inner, std::int64_t cols,
               const float* source) {
  const auto width = static_cast<std::size_t>(inner);
  std::vector<std::int8_t> quantised(static_cast<std::size_t>(cols) * width);
  auto* scales = static_cast<float*>(layout.scales.data());
  for (std::int64_t col = 0; col < cols; ++col) {
    const std::span row(source + col * inner, width);
    scales[col] = int8_scale(row);
    quantise_int8({quantised.data() + col * inner, width}, row, scales[col]);
  }
  if (on_tiles(DType::kInt8)) {
    amx::pack_right_int8(static_cast<std::int8_t*>(layout.data.data()), quantised.data(), inner,
                         cols);
  } else {
    onednn::reorder(layout.data.data(), layout.description, quantised.data(), DType::kInt8, true);
  }
}

namespace {

/// Rows as int8, with their scales, until this thread asks again for the same `place`.
struct Int8Rows {
  std::int8_t* numbers;
  float* scales;

  Int8Rows(int place, std::int64_t rows, std::int64_t inner) {
    static thread_local Buffer numbers_of[2], scales_of[2];
    const auto bytes =
        std::max(amx::int8_packed_bytes(rows, inner), static_cast<std::size_t>(rows * inner));
    numbers = static_cast<std::int8_t*>(numbers_of[place].grow(bytes));
    scales = grow<float>(scales_of[place], amx::blocks(rows) * amx::kBlock);
  }
};

amx::Int8Product product_on_tiles(const Int8Rows& left, std::int64_t rows, const WeightMatrix& b,
                                  const float* bias) {
  static thread_local Buffer scratch;
  amx::Int8Product product;
  product.left = left.numbers;
  product.right = static_cast<const std::int8_t*>(b.layout().data.data());
  product.rows = rows;
  product.cols = b.cols();
  product.inner = b.inner();
  product.row_scales = left.scales;
  product.col_scales = b.layout().column_scales();
  product.bias = bias;
  product.scratch = grow<std::int32_t>(scratch, amx::int8_scratch(b.cols(), b.inner()));
  return product;
}

Int8Rows quantised_on_tiles(const void* a, DType type, std::int64_t rows, std::int64_t inner) {
  BARCODEMAE_CHECK(type == DType::kBFloat16, "activations in {}", to_string(type));
  const Int8Rows left(0, amx::kCallRows, inner);
  amx::pack_left_int8(left.numbers, left.scales, bfloat16(a), rows, inner, nullptr);
  return left;
}

Int8Rows quantised(const void* a, DType type, std::int64_t rows, std::int64_t inner) {
  const Int8Rows left(0, kBlockRows, inner);
  QuantiseRows quantise;
  quantise.rows = rows;
  quantise.cols = inner;
  quantise.type = type;
  quantise.x = a;
  quantise.quantised = left.numbers;
  quantise.scales = left.scales;
  kernels().quantise_rows(quantise);
  return left;
}

// The sums of a product by oneDNN, and what makes them floats. Sums are exact, so a few rows more,
// whatever they hold, change nothing and keep the shapes few.
Int8Sums sums_by_onednn(const Int8Rows& left, std::int64_t rows, const WeightMatrix& b,
                        const float* bias) {
  static thread_local Buffer kept_sums;
  constexpr std::int64_t kGranularity = 16;
  const std::int64_t padded = (rows + kGranularity - 1) / kGranularity * kGranularity;
  auto* sums = grow<std::int32_t>(kept_sums, kBlockRows * b.cols());
  const onednn::Product& product = onednn::find_product(
      onednn::product_shape(padded, b.inner(), b.cols(), DType::kInt8, DType::kInt32, false));
  BARCODEMAE_CHECK(product.b == b.layout().description, "oneDNN changed its layout for {} rows",
                   padded);
  onednn::execute(product, sums, left.numbers, b.layout().data.data(), nullptr);
  return {rows, b.cols(), sums, left.scales, b.layout().column_scales(), bias};
}

}  // namespace

void multiply_int8(void* c, DType c_type, const void* a, DType a_type, std::int64_t rows,
                   const WeightMatrix& b, const float* bias) {
  for (std::int64_t row = 0; row < rows; row += kBlockRows) {
    const std::int64_t count = std::min(kBlockRows, rows - row);
    const void* a_rows = at(a, a_type, row * b.inner());
    void* c_rows = at(c, c_type, row * b.cols());
    if (on_tiles(DType::kInt8)) {
      amx::Int8Product product =
          product_on_tiles(quantised_on_tiles(a_rows, a_type, count, b.inner()), count, b, bias);
      product.c = c_rows;
      product.float32 = c_type == DType::kFloat32;
      amx::multiply(product);
    } else {
      kernels().dequantise_rows(
          sums_by_onednn(quantised(a_rows, a_type, count, b.inner()), count, b, bias), c_rows,
          c_type);
    }
  }
}

void feed_forward_int8(void* out, const void* x, DType type, std::int64_t rows,
                       const WeightMatrix& in_weight, const float* in_bias,
                       const WeightMatrix& out_weight) {
  const std::int64_t width = in_weight.inner(), inner = in_weight.cols();
  for (std::int64_t row = 0; row < rows; row += kBlockRows) {
    const std::int64_t count = std::min(kBlockRows, rows - row);
    const void* x_rows = at(x, type, row * width);
    void* out_rows = at(out, type, row * width);
    const Int8Rows hidden(1, kBlockRows, inner);
    if (on_tiles(DType::kInt8)) {
      static thread_local Buffer gelu, partial_largest;
      amx::Int8Product first = product_on_tiles(quantised_on_tiles(x_rows, type, count, width),
                                                count, in_weight, in_bias);
      first.c = grow<std::uint16_t>(gelu, amx::kCallRows * inner);
      first.partial_largest = grow<float>(partial_largest, amx::kCallRows * 16);
      amx::multiply(first);
      amx::pack_left_int8(hidden.numbers, hidden.scales, bfloat16(first.c), count, inner,
                          first.partial_largest);
      amx::Int8Product second = product_on_tiles(hidden, count, out_weight, nullptr);
      second.c = out_rows;
      amx::multiply(second);
    } else {
      static thread_local Buffer gelu_row;
      const Int8Sums sums =
          sums_by_onednn(quantised(x_rows, type, count, width), count, in_weight, in_bias);
      kernels().gelu_int8(sums, hidden.numbers, hidden.scales, grow<float>(gelu_row, inner));
      kernels().dequantise_rows(sums_by_onednn(hidden, count, out_weight, nullptr), out_rows, type);
    }
  }
}

}  // namespace barcodemae::cpu
