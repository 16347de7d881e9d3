// SPDX-License-Identifier: MIT
#include <algorithm>

#include "backend/cpu/gemm.h"
#include "backend/cpu/gemm_layout.h"

namespace barcodemae::cpu {

namespace {

// What lies between the two products of a feed-forward block, until this thread asks again.
std::uint16_t* packed_between(std::int64_t inner) {
  static thread_local Buffer between;
  return grow<std::uint16_t>(between, amx::packed_elements(amx::kCallRows, inner));
}

}  // namespace

std::size_t feed_forward_pre_bytes(std::int64_t rows, std::int64_t inner) {
  return static_cast<std::size_t>(amx::packed_elements(rows, inner)) * sizeof(std::uint16_t);
}

void feed_forward_products(const FeedForwardProducts& products, void* out, const void* x,
                           const WeightMatrix& in_weight, const float* in_bias,
                           const WeightMatrix& out_weight) {
  if (in_weight.type() == DType::kInt8) {
    feed_forward_int8(out, x, products.type, products.rows, in_weight, in_bias, out_weight);
    return;
  }
  using Finish = amx::Product::Finish;
  const std::int64_t width = in_weight.inner(), inner = in_weight.cols();
  for (std::int64_t row = 0; row < products.rows; row += amx::kCallRows) {
    const std::int64_t rows = std::min(amx::kCallRows, products.rows - row);
    amx::Product first =
        product_on_tiles(packed_left(bfloat16(x) + row * width, rows, width), rows, in_weight);
    first.finish = Finish::kGelu;
    first.bias = in_bias;
    if (products.pre != nullptr) {
      first.pre = bfloat16(products.pre) + amx::packed_elements(row, inner);
    }
    first.hidden = packed_between(inner);
    amx::multiply(first);
    amx::Product second = product_on_tiles(first.hidden, rows, out_weight);
    second.c = bfloat16(out) + row * width;
    second.c_stride = width;
    amx::multiply(second);
  }
}

void feed_forward_gradients(const FeedForwardProducts& products, void* dx, const void* dout,
                            const WeightMatrix& out_weight, const WeightMatrix& in_weight,
                            std::int64_t row, const GradientOperand& dpre,
                            const GradientOperand& hidden, float* in_bias_gradient) {
  using Finish = amx::Product::Finish;
  const std::int64_t width = out_weight.inner(), inner = out_weight.cols();
  for (std::int64_t begin = 0; begin < products.rows; begin += amx::kCallRows) {
    const std::int64_t rows = std::min(amx::kCallRows, products.rows - begin);
    amx::Product first = product_on_tiles(packed_left(bfloat16(dout) + begin * width, rows, width),
                                          rows, out_weight);
    first.finish = Finish::kGeluGradient;
    first.pre = bfloat16(products.pre) + amx::packed_elements(begin, inner);
    first.dpre = packed_between(inner);
    first.dpre_operand = {bfloat16(dpre.memory()), amx::blocks(dpre.rows()), row + begin};
    first.hidden_operand = {bfloat16(hidden.memory()), amx::blocks(hidden.rows()), row + begin};
    first.dbias = in_bias_gradient;
    amx::multiply(first);
    if (dx == nullptr) continue;
    amx::Product second = product_on_tiles(first.dpre, rows, in_weight);
    second.c = bfloat16(dx) + begin * width;
    second.c_stride = width;
    amx::multiply(second);
  }
}

}  // namespace barcodemae::cpu
