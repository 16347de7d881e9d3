// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/row_blocks.h"
#include "backend/cpu/sublayer.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

using namespace cpu;

// Kept from forward to backward, in the padded layout.
struct Saved {
  void* pre;  // [rows, F]: W₁ x + b₁; on tiles in an order of its own
  SublayerSaved norm;

  Saved(Carver& carver, std::int64_t rows, std::int64_t width, std::int64_t inner, DType type)
      : pre(carver.take_bytes(GradientOperand::packed(type)
                                  ? feed_forward_pre_bytes(rows, inner)
                                  : static_cast<std::size_t>(rows * inner) * size_of(type))),
        norm(carver, rows, width, type) {}
};

// One thread's, for one block of rows.
struct ForwardScratch {
  void* x;        // [rows, H]: for the last block, so that dead rows can be read
  void* hidden;   // [rows, F]; not on tiles
  void* product;  // [rows, H]
  SublayerScratch norm;

  ForwardScratch(Carver& carver, std::int64_t rows, std::int64_t width, std::int64_t inner,
                 DType type)
      : x(carver.take(rows * width, type)),
        hidden(carver.take(GradientOperand::packed(type) ? 0 : rows * inner, type)),
        product(carver.take(rows * width, type)),
        norm(carver, rows, width) {}
};

struct BackwardScratch {
  void* dsum;      // [rows, H]: when dx is not wanted
  void* dhidden;   // [rows, F]; not on tiles
  void* product;   // [rows, H]
  void* dproduct;  // [rows, H]: on tiles, else written in place
  float* norm;     // [4H]

  BackwardScratch(Carver& carver, std::int64_t rows, std::int64_t width, std::int64_t inner,
                  DType type)
      : dsum(carver.take(rows * width, type)),
        dhidden(carver.take(GradientOperand::packed(type) ? 0 : rows * inner, type)),
        product(carver.take(rows * width, type)),
        dproduct(carver.take(GradientOperand::packed(type) ? rows * width : 0, type)),
        norm(carver.take<float>(4 * width)) {}
};

// Of all rows, for the weight gradients that follow.
struct Gradients {
  void *dpre, *hidden, *dproduct, *x;  // operands
  float* partial;  // [blocks, 3H + F]: of norm weight, norm bias, outer bias, inner bias

  Gradients(Carver& carver, std::int64_t rows, std::int64_t blocks, std::int64_t width,
            std::int64_t inner, DType type)
      : dpre(carver.take_bytes(GradientOperand::bytes(rows, inner, type))),
        hidden(carver.take_bytes(GradientOperand::bytes(rows, inner, type))),
        dproduct(carver.take_bytes(GradientOperand::bytes(rows, width, type))),
        x(carver.take_bytes(GradientOperand::bytes(rows, width, type))),
        partial(carver.take<float>(blocks * (3 * width + inner))) {}
};

}  // namespace

KernelMemory CpuBackend::feed_forward_block_memory(const FeedForwardBlock& block,
                                                   const Segments& segments, DType activation,
                                                   bool backward) const {
  const std::int64_t width = block.out_weight.value.rows, inner = block.in_weight.value.rows;
  const std::int64_t rows = segments.rows();
  const std::int64_t largest = largest_block_bound(rows, segments.longest, activation);
  const auto threads = static_cast<std::size_t>(thread_count());
  KernelMemory memory;
  Carver forward(nullptr);
  ForwardScratch(forward, largest, width, inner, activation);
  memory.forward_scratch = forward.used() * threads;
  if (!backward) return memory;
  Carver saved(nullptr), shared(nullptr), each(nullptr);
  Saved(saved, padded_rows_bound(rows, activation), width, inner, activation);
  Gradients(shared, padded_rows_bound(rows, activation), block_count_bound(rows), width, inner,
            activation);
  BackwardScratch(each, largest, width, inner, activation);
  memory.saved = saved.used();
  memory.backward_scratch = shared.used() + each.used() * threads;
  return memory;
}

void CpuBackend::feed_forward_block_forward(View y, View x, const FeedForwardBlock& block,
                                            const Segments& segments, const Dropout& dropout,
                                            Bytes saved_bytes, Bytes scratch_bytes) {
  const std::int64_t width = x.cols, inner = block.in_weight.value.rows;
  const DType type = x.dtype;
  const bool saving = saved_bytes.size > 0;
  const RowBlocks row_blocks = make_row_blocks(segments, x.dtype);
  const WeightMatrix& in_weight = forward_weight(block.in_weight, type);
  const WeightMatrix& out_weight = forward_weight(block.out_weight, type);
  const bool on_tiles = GradientOperand::packed(type);
  const auto pre_of = [&](const Saved& saved, const RowBlock& rows) {
    return static_cast<std::byte*>(saved.pre) + feed_forward_pre_bytes(rows.padded_row, inner);
  };
  Carver saved_carver(saved_bytes.data);
  const Saved saved(saved_carver, padded_rows_bound(x.rows, type), width, inner, type);

  parallel_for(row_blocks.count(), [&](std::int64_t index, int thread) {
    const RowBlock& rows = row_blocks.blocks[static_cast<std::size_t>(index)];
    Carver carver = thread_share(scratch_bytes, 0, thread);
    const ForwardScratch scratch(carver, largest_block_bound(x.rows, segments.longest, type), width,
                                 inner, type);
    const void* input = readable_rows(x, rows, scratch.x);
    if (on_tiles || in_weight.type() == DType::kInt8) {
      const FeedForwardProducts products{rows.padded_rows, type,
                                         saving ? pre_of(saved, rows) : nullptr};
      feed_forward_products(products, scratch.product, input, in_weight, values(block.in_bias),
                            out_weight);
    } else {
      void* pre = saving ? at(saved.pre, type, rows.padded_row * inner) : scratch.hidden;
      multiply(pre, type, input, rows.padded_rows, in_weight, values(block.in_bias));
      GeluForward gelu;
      gelu.rows = rows.padded_rows;
      gelu.cols = inner;
      gelu.product = pre;
      gelu.product_type = type;
      gelu.product_stride = inner;
      gelu.type = type;
      gelu.out = scratch.hidden;
      gelu.out_stride = inner;
      kernels_.gelu_forward(gelu);
      multiply(scratch.product, type, scratch.hidden, rows.padded_rows, out_weight, nullptr);
    }
    sublayer_forward(kernels_, y, x, scratch.product, rows, segments, dropout, block.out_bias,
                     block.norm_weight, block.norm_bias, block.norm_epsilon,
                     saving ? &saved.norm : nullptr, scratch.norm);
  });
}

void CpuBackend::feed_forward_block_backward(View dx, bool accumulate, View dy, View, View x,
                                             const FeedForwardBlock& block,
                                             const Segments& segments, const Dropout& dropout,
                                             Bytes saved_bytes, Bytes scratch_bytes) {
  const std::int64_t width = x.cols, inner = block.in_weight.value.rows;
  const DType type = x.dtype;
  const RowBlocks row_blocks = make_row_blocks(segments, x.dtype);
  const WeightMatrix& in_weight = backward_weight(block.in_weight, type);
  const WeightMatrix& out_weight = backward_weight(block.out_weight, type);
  const bool on_tiles = GradientOperand::packed(type);
  const auto pre_of = [&](const Saved& saved, const RowBlock& rows) {
    return static_cast<std::byte*>(saved.pre) + feed_forward_pre_bytes(rows.padded_row, inner);
  };
  Carver saved_carver(saved_bytes.data);
  const Saved saved(saved_carver, padded_rows_bound(x.rows, type), width, inner, type);
  Carver shared(scratch_bytes.data);
  const Gradients gradients(shared, padded_rows_bound(x.rows, type), block_count_bound(x.rows),
                            width, inner, type);
  using Side = GradientOperand::Side;
  const std::int64_t total = row_blocks.padded_rows;
  const GradientOperand dpre_rows(gradients.dpre, Side::kLeft, total, inner, type);
  const GradientOperand hidden_rows(gradients.hidden, Side::kRight, total, inner, type);
  const GradientOperand dproduct_rows(gradients.dproduct, Side::kLeft, total, width, type);
  const GradientOperand x_rows(gradients.x, Side::kRight, total, width, type);
  const std::int64_t vectors = 3 * width + inner;

  parallel_for(row_blocks.count(), [&](std::int64_t index, int thread) {
    const RowBlock& rows = row_blocks.blocks[static_cast<std::size_t>(index)];
    Carver carver = thread_share(scratch_bytes, shared.used(), thread);
    const BackwardScratch scratch(carver, largest_block_bound(x.rows, segments.longest, type),
                                  width, inner, type);
    float* partial = gradients.partial + index * vectors;
    std::fill_n(partial, vectors, 0.0f);
    void* dproduct = dproduct_rows.place(rows.padded_row, scratch.dproduct);
    const auto store = [&](const GradientOperand& operand, const void* made) {
      operand.store(rows.padded_row, made, rows.rows, rows.padded_rows);
    };

    sublayer_backward(kernels_, dx, accumulate, scratch.dsum, dproduct, dy, rows, dropout,
                      block.norm_weight, saved.norm, partial, scratch.norm);
    store(dproduct_rows, dproduct);
    store(x_rows, at(x.data, type, rows.row * width));
    if (on_tiles) {
      const FeedForwardProducts products{rows.padded_rows, type, pre_of(saved, rows)};
      feed_forward_gradients(products, dx.data != nullptr ? scratch.product : nullptr, dproduct,
                             out_weight, in_weight, rows.padded_row, dpre_rows, hidden_rows,
                             partial + 3 * width);
    } else {
      void* dpre = dpre_rows.place(rows.padded_row, nullptr);
      multiply(scratch.dhidden, type, dproduct, rows.padded_rows, out_weight, nullptr);
      GeluBackward gelu;
      gelu.rows = rows.padded_rows;  // dead rows of dhidden are 0, and so become those of dpre
      gelu.cols = inner;
      gelu.dout = scratch.dhidden;
      gelu.dout_type = type;
      gelu.dout_stride = inner;
      gelu.pre = at(saved.pre, type, rows.padded_row * inner);
      gelu.pre_type = type;
      gelu.pre_stride = inner;
      gelu.type = type;
      gelu.dpre = dpre;
      gelu.dpre_stride = inner;
      gelu.out = hidden_rows.place(rows.padded_row, nullptr);
      gelu.out_stride = inner;
      gelu.dbias = partial + 3 * width;
      kernels_.gelu_backward(gelu);
      if (dx.data != nullptr) {
        multiply(scratch.product, type, dpre, rows.padded_rows, in_weight, nullptr);
      }
    }
    if (dx.data != nullptr) add_to_rows(kernels_, dx, scratch.product, rows);
  });

  combine_partials(kernels_, gradients.partial, row_blocks.count(), vectors,
                   {&block.norm_weight, &block.norm_bias, &block.out_bias, &block.in_bias});
  add_weight_gradients(
      std::array{WeightGradient{gradient(block.in_weight), dpre_rows, x_rows},
                 WeightGradient{gradient(block.out_weight), dproduct_rows, hidden_rows}});
}

}  // namespace barcodemae
