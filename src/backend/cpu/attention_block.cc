// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cmath>

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
  void* qkv;           // [rows, 3H]
  void* context;       // [rows, H]
  float* log_sum_exp;  // [heads, rows]
  SublayerSaved norm;

  Saved(Carver& carver, std::int64_t rows, std::int64_t width, int heads, DType type)
      : qkv(carver.take(rows * 3 * width, type)),
        context(carver.take(rows * width, type)),
        log_sum_exp(carver.take<float>(rows * heads)),
        norm(carver, rows, width, type) {}
};

// One thread's, for one block of rows.
struct ForwardScratch {
  void* x;        // [rows, H]: for the last block, so that dead rows can be read
  void* qkv;      // [rows, 3H]
  void* context;  // [rows, H]
  void* product;  // [rows, H]
  SublayerScratch norm;
  void* attention;

  ForwardScratch(Carver& carver, const Kernels& kernels, std::int64_t rows, std::int64_t longest,
                 std::int64_t width, int heads, DType type)
      : x(carver.take(rows * width, type)),
        qkv(carver.take(rows * 3 * width, type)),
        context(carver.take(rows * width, type)),
        product(carver.take(rows * width, type)),
        norm(carver, rows, width),
        attention(
            carver.take_bytes(kernels.attention_forward_scratch(longest, width / heads, type))) {}
};

struct BackwardScratch {
  void* dsum;      // [rows, H]: when dx is not wanted
  void* dcontext;  // [rows, H]
  void* product;   // [rows, H]
  void* dqkv;      // [rows, 3H]: when gradient operands are packed, else written in place
  void* dproduct;  // [rows, H]: the same
  float* norm;     // [4H]
  void* attention;

  BackwardScratch(Carver& carver, const Kernels& kernels, std::int64_t rows, std::int64_t longest,
                  std::int64_t width, int heads, DType type)
      : dsum(carver.take(rows * width, type)),
        dcontext(carver.take(rows * width, type)),
        product(carver.take(rows * width, type)),
        dqkv(carver.take(GradientOperand::packed(type) ? rows * 3 * width : 0, type)),
        dproduct(carver.take(GradientOperand::packed(type) ? rows * width : 0, type)),
        norm(carver.take<float>(4 * width)),
        attention(
            carver.take_bytes(kernels.attention_backward_scratch(longest, width / heads, type))) {}
};

// Of all rows, for the weight gradients that follow.
struct Gradients {
  void *dqkv, *dproduct, *x, *context;  // operands; context only when packed
  float* partial;  // [blocks, 6H]: of norm weight, norm bias, output bias, qkv bias

  Gradients(Carver& carver, std::int64_t rows, std::int64_t blocks, std::int64_t width, DType type)
      : dqkv(carver.take_bytes(GradientOperand::bytes(rows, 3 * width, type))),
        dproduct(carver.take_bytes(GradientOperand::bytes(rows, width, type))),
        x(carver.take_bytes(GradientOperand::bytes(rows, width, type))),
        context(carver.take_bytes(
            GradientOperand::packed(type) ? GradientOperand::bytes(rows, width, type) : 0)),
        partial(carver.take<float>(blocks * 6 * width)) {}
};

}  // namespace

KernelMemory CpuBackend::attention_block_memory(const AttentionBlock& block,
                                                const Segments& segments, DType activation,
                                                bool backward) const {
  const std::int64_t width = block.output_weight.value.rows;
  const std::int64_t rows = segments.rows(), longest = segments.longest;
  const std::int64_t largest = largest_block_bound(rows, longest, activation);
  const auto threads = static_cast<std::size_t>(thread_count());
  KernelMemory memory;
  Carver forward(nullptr);
  ForwardScratch(forward, kernels_, largest, longest, width, block.heads, activation);
  memory.forward_scratch = forward.used() * threads;
  if (!backward) return memory;
  Carver saved(nullptr), shared(nullptr), each(nullptr);
  Saved(saved, padded_rows_bound(rows, activation), width, block.heads, activation);
  Gradients(shared, padded_rows_bound(rows, activation), block_count_bound(rows), width,
            activation);
  BackwardScratch(each, kernels_, largest, longest, width, block.heads, activation);
  memory.saved = saved.used();
  memory.backward_scratch = shared.used() + each.used() * threads;
  return memory;
}

void CpuBackend::attention_block_forward(View y, View x, const AttentionBlock& block,
                                         const Segments& segments, const Dropout& probabilities,
                                         const Dropout& output, Bytes saved_bytes,
                                         Bytes scratch_bytes) {
  const std::int64_t width = x.cols, head_size = width / block.heads;
  const DType type = x.dtype;
  const bool saving = saved_bytes.size > 0;
  const RowBlocks row_blocks = make_row_blocks(segments, x.dtype);
  const WeightMatrix& qkv_weight = forward_weight(block.qkv_weight, type);
  const WeightMatrix& output_weight = forward_weight(block.output_weight, type);
  Carver saved_carver(saved_bytes.data);
  Saved saved(saved_carver, padded_rows_bound(x.rows, type), width, block.heads, type);
  const auto* positions = static_cast<const std::int32_t*>(segments.positions.data);
  const auto* records = static_cast<const std::int32_t*>(segments.records.data);

  parallel_for(row_blocks.count(), [&](std::int64_t index, int thread) {
    const RowBlock& rows = row_blocks.blocks[static_cast<std::size_t>(index)];
    Carver carver = thread_share(scratch_bytes, 0, thread);
    const ForwardScratch scratch(carver, kernels_,
                                 largest_block_bound(x.rows, segments.longest, type),
                                 segments.longest, width, block.heads, type);
    void *qkv = scratch.qkv, *context = scratch.context;
    const void* input = readable_rows(x, rows, scratch.x);
    multiply(qkv, type, input, rows.padded_rows, qkv_weight, values(block.qkv_bias));

    for (std::int64_t n = rows.first_sequence; n < rows.first_sequence + rows.sequences; ++n) {
      const std::int64_t begin = segments.begins[static_cast<std::size_t>(n)];
      const std::int64_t tokens = segments.begins[static_cast<std::size_t>(n) + 1] - begin;
      if (tokens == 0) continue;
      const std::int64_t row = begin - rows.row;
      for (int head = 0; head < block.heads; ++head) {
        AttentionForward attention;
        attention.tokens = tokens;
        attention.head_size = head_size;
        attention.type = type;
        attention.query = at(qkv, type, row * 3 * width + head * head_size);
        attention.key = at(attention.query, type, width);
        attention.value = at(attention.query, type, 2 * width);
        attention.stride = 3 * width;
        attention.context = at(context, type, row * width + head * head_size);
        attention.context_stride = width;
        attention.scale = 1.0f / std::sqrt(static_cast<float>(head_size));
        attention.causal = block.causal;
        if (saving) {
          attention.log_sum_exp =
              saved.log_sum_exp + (rows.padded_row + row) * block.heads + head * tokens;
        }
        attention.dropout = dropout_stream(probabilities);
        attention.record = static_cast<std::uint32_t>(records[n]);
        attention.positions = positions + begin;
        attention.head = static_cast<std::uint32_t>(head);
        attention.scratch = scratch.attention;
        kernels_.attention_forward(attention);
      }
    }
    zero_dead_rows(context, type, rows, width);
    if (saving) {
      const auto save = [&](void* matrix, const void* made, std::int64_t cols) {
        copy_past_caches(at(matrix, type, rows.padded_row * cols), made,
                         static_cast<std::size_t>(rows.padded_rows * cols) * size_of(type));
      };
      save(saved.qkv, qkv, 3 * width);
      save(saved.context, context, width);
    }

    multiply(scratch.product, type, context, rows.padded_rows, output_weight, nullptr);
    sublayer_forward(kernels_, y, x, scratch.product, rows, segments, output, block.output_bias,
                     block.norm_weight, block.norm_bias, block.norm_epsilon,
                     saving ? &saved.norm : nullptr, scratch.norm);
  });
}

void CpuBackend::attention_block_backward(View dx, bool accumulate, View dy, View, View x,
                                          const AttentionBlock& block, const Segments& segments,
                                          const Dropout& probabilities, const Dropout& output,
                                          Bytes saved_bytes, Bytes scratch_bytes) {
  const std::int64_t width = x.cols, head_size = width / block.heads;
  const DType type = x.dtype;
  const RowBlocks row_blocks = make_row_blocks(segments, x.dtype);
  const WeightMatrix& qkv_weight = backward_weight(block.qkv_weight, type);
  const WeightMatrix& output_weight = backward_weight(block.output_weight, type);
  Carver saved_carver(saved_bytes.data);
  const Saved saved(saved_carver, padded_rows_bound(x.rows, type), width, block.heads, type);
  Carver shared(scratch_bytes.data);
  const Gradients gradients(shared, padded_rows_bound(x.rows, type), block_count_bound(x.rows),
                            width, type);
  using Side = GradientOperand::Side;
  const std::int64_t total = row_blocks.padded_rows;
  const GradientOperand dqkv_rows(gradients.dqkv, Side::kLeft, total, 3 * width, type);
  const GradientOperand dproduct_rows(gradients.dproduct, Side::kLeft, total, width, type);
  const GradientOperand x_rows(gradients.x, Side::kRight, total, width, type);
  const GradientOperand context_rows(
      GradientOperand::packed(type) ? gradients.context : saved.context, Side::kRight, total, width,
      type);
  const auto* positions = static_cast<const std::int32_t*>(segments.positions.data);
  const auto* records = static_cast<const std::int32_t*>(segments.records.data);

  parallel_for(row_blocks.count(), [&](std::int64_t index, int thread) {
    const RowBlock& rows = row_blocks.blocks[static_cast<std::size_t>(index)];
    Carver carver = thread_share(scratch_bytes, shared.used(), thread);
    const BackwardScratch scratch(carver, kernels_,
                                  largest_block_bound(x.rows, segments.longest, type),
                                  segments.longest, width, block.heads, type);
    float* partial = gradients.partial + index * 6 * width;
    std::fill_n(partial, 6 * width, 0.0f);
    void* dproduct = dproduct_rows.place(rows.padded_row, scratch.dproduct);
    void* dqkv = dqkv_rows.place(rows.padded_row, scratch.dqkv);
    const auto store = [&](const GradientOperand& operand, const void* made) {
      operand.store(rows.padded_row, made, rows.rows, rows.padded_rows);
    };

    sublayer_backward(kernels_, dx, accumulate, scratch.dsum, dproduct, dy, rows, output,
                      block.norm_weight, saved.norm, partial, scratch.norm);
    store(dproduct_rows, dproduct);
    store(x_rows, at(x.data, type, rows.row * width));
    store(context_rows, at(saved.context, type, rows.padded_row * width));
    multiply(scratch.dcontext, type, dproduct, rows.padded_rows, output_weight, nullptr);

    const void* qkv = at(saved.qkv, type, rows.padded_row * 3 * width);
    for (std::int64_t n = rows.first_sequence; n < rows.first_sequence + rows.sequences; ++n) {
      const std::int64_t begin = segments.begins[static_cast<std::size_t>(n)];
      const std::int64_t tokens = segments.begins[static_cast<std::size_t>(n) + 1] - begin;
      if (tokens == 0) continue;
      const std::int64_t row = begin - rows.row;
      for (int head = 0; head < block.heads; ++head) {
        AttentionBackward attention;
        attention.forward.tokens = tokens;
        attention.forward.head_size = head_size;
        attention.forward.type = type;
        attention.forward.query = at(qkv, type, row * 3 * width + head * head_size);
        attention.forward.key = at(attention.forward.query, type, width);
        attention.forward.value = at(attention.forward.query, type, 2 * width);
        attention.forward.stride = 3 * width;
        attention.forward.scale = 1.0f / std::sqrt(static_cast<float>(head_size));
        attention.forward.causal = block.causal;
        attention.forward.log_sum_exp =
            saved.log_sum_exp + (rows.padded_row + row) * block.heads + head * tokens;
        attention.forward.dropout = dropout_stream(probabilities);
        attention.forward.record = static_cast<std::uint32_t>(records[n]);
        attention.forward.positions = positions + begin;
        attention.forward.head = static_cast<std::uint32_t>(head);
        attention.dcontext = at(scratch.dcontext, type, row * width + head * head_size);
        attention.dcontext_stride = width;
        attention.dquery = at(dqkv, type, row * 3 * width + head * head_size);
        attention.dkey = at(attention.dquery, type, width);
        attention.dvalue = at(attention.dquery, type, 2 * width);
        attention.dstride = 3 * width;
        attention.scratch = scratch.attention;
        kernels_.attention_backward(attention);
      }
    }
    zero_dead_rows(dqkv, type, rows, 3 * width);
    store(dqkv_rows, dqkv);
    kernels_.column_sums(partial + 3 * width, true, 1, dqkv, type, rows.rows, 3 * width, 3 * width);
    if (dx.data != nullptr) {
      multiply(scratch.product, type, dqkv, rows.padded_rows, qkv_weight, nullptr);
      add_to_rows(kernels_, dx, scratch.product, rows);
    }
  });

  combine_partials(kernels_, gradients.partial, row_blocks.count(), 6 * width,
                   {&block.norm_weight, &block.norm_bias, &block.output_bias, &block.qkv_bias});
  add_weight_gradients(
      std::array{WeightGradient{gradient(block.qkv_weight), dqkv_rows, x_rows},
                 WeightGradient{gradient(block.output_weight), dproduct_rows, context_rows}});
}

}  // namespace barcodemae
