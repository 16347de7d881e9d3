// SPDX-License-Identifier: MIT
#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/memory.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

using namespace cpu;

constexpr std::int64_t kPieceRows = 128;

std::int64_t piece_count(std::int64_t rows) { return (rows + kPieceRows - 1) / kPieceRows; }

struct Saved {
  float *mean, *rstd;  // [rows]
  std::uint8_t* keep;  // by pieces of kPieceRows rows

  Saved(Carver& carver, std::int64_t rows, std::int64_t width)
      : mean(carver.take<float>(rows)),
        rstd(carver.take<float>(rows)),
        keep(carver.take<std::uint8_t>(
            static_cast<std::int64_t>(keep_bytes(piece_count(rows) * kPieceRows, width)))) {}
};

struct ForwardScratch {  // one thread's
  std::int32_t* records;
  std::uint8_t* keep;
  float* norm;  // [H]

  ForwardScratch(Carver& carver, std::int64_t width)
      : records(carver.take<std::int32_t>(kPieceRows)),
        keep(carver.take<std::uint8_t>(static_cast<std::int64_t>(keep_bytes(kPieceRows, width)))),
        norm(carver.take<float>(width)) {}
};

struct Gradients {  // of all rows
  float* dsum;      // [rows, H]: before the norm
  float* partial;   // [pieces, 3H]: of norm weight, norm bias, token type

  Gradients(Carver& carver, std::int64_t rows, std::int64_t width)
      : dsum(carver.take<float>(rows * width)),
        partial(carver.take<float>(piece_count(rows) * 3 * width)) {}
};

EmbedForward describe(View y, View ids, View rows, const EmbeddingBlock& block,
                      const Segments& segments, const Saved& saved, std::int64_t first,
                      std::int64_t count) {
  EmbedForward embed;
  embed.rows = count;
  embed.cols = y.cols;
  embed.type = y.dtype;
  embed.y = at(y.data, y.dtype, first * y.cols);
  if (ids.data != nullptr) {
    embed.word = values(block.word);
    embed.ids = static_cast<const std::int32_t*>(ids.data) + first;
  } else {
    embed.given = at(rows.data, rows.dtype, first * rows.cols);
  }
  embed.position = values(block.position);
  embed.positions = static_cast<const std::int32_t*>(segments.positions.data) + first;
  embed.token_type = values(block.token_type);
  embed.gamma = values(block.norm_weight);
  embed.beta = values(block.norm_bias);
  embed.epsilon = block.norm_epsilon;
  if (saved.mean != nullptr) {
    embed.mean = saved.mean + first;
    embed.rstd = saved.rstd + first;
  }
  return embed;
}

}  // namespace

KernelMemory CpuBackend::embed_memory(const EmbeddingBlock& block, std::int64_t rows,
                                      bool backward) const {
  const std::int64_t width = block.position.value.cols;
  const auto threads = static_cast<std::size_t>(thread_count());
  KernelMemory memory;
  Carver forward(nullptr);
  ForwardScratch(forward, width);
  memory.forward_scratch = forward.used() * threads;
  if (!backward) return memory;
  Carver saved(nullptr), shared(nullptr), each(nullptr);
  Saved(saved, rows, width);
  Gradients(shared, rows, width);
  each.take<float>(4 * width);
  memory.saved = saved.used();
  memory.backward_scratch = shared.used() + each.used() * threads;
  return memory;
}

void CpuBackend::embed_forward(View y, View ids, View rows, const EmbeddingBlock& block,
                               const Segments& segments, const Dropout& dropout, Bytes saved_bytes,
                               Bytes scratch_bytes) {
  const bool saving = saved_bytes.size > 0;
  Carver saved_carver(saved_bytes.data);
  Saved saved(saved_carver, y.rows, y.cols);
  if (!saving) saved.mean = saved.rstd = nullptr;
  parallel_for(piece_count(y.rows), [&](std::int64_t piece, int thread) {
    const std::int64_t first = piece * kPieceRows, count = std::min(kPieceRows, y.rows - first);
    Carver carver = thread_share(scratch_bytes, 0, thread);
    const ForwardScratch scratch(carver, y.cols);
    EmbedForward embed = describe(y, ids, rows, block, segments, saved, first, count);
    embed.scratch = scratch.norm;
    if (dropout.threshold() > 0) {
      KeepBits bits;
      bits.rows = count;
      bits.cols = y.cols;
      bits.dropout = dropout_stream(dropout);
      expand_records(scratch.records, segments, first, count);
      bits.records = scratch.records;
      bits.positions = embed.positions;
      bits.keep = saving ? saved.keep + first * keep_stride(y.cols) : scratch.keep;
      kernels_.keep_bits(bits);
      embed.keep = bits.keep;
      embed.keep_scale = dropout.scale();
    }
    kernels_.embed_forward(embed);
  });
}

void CpuBackend::embed_backward(View drows, bool accumulate, View dy, View y, View ids, View rows,
                                const EmbeddingBlock& block, const Segments& segments,
                                const Dropout& dropout, Bytes saved_bytes, Bytes scratch_bytes) {
  const std::int64_t width = y.cols;
  Carver saved_carver(saved_bytes.data);
  const Saved saved(saved_carver, y.rows, width);
  Carver shared(scratch_bytes.data);
  const Gradients gradients(shared, y.rows, width);
  parallel_for(piece_count(y.rows), [&](std::int64_t piece, int thread) {
    const std::int64_t first = piece * kPieceRows, count = std::min(kPieceRows, y.rows - first);
    Carver carver = thread_share(scratch_bytes, shared.used(), thread);
    float* partial = gradients.partial + piece * 3 * width;
    std::fill_n(partial, 3 * width, 0.0f);
    EmbedBackward embed;
    embed.forward = describe(y, ids, rows, block, segments, saved, first, count);
    if (dropout.threshold() > 0) {
      embed.forward.keep = saved.keep + first * keep_stride(width);
      embed.forward.keep_scale = dropout.scale();
    }
    embed.dy = at(dy.data, dy.dtype, first * width);
    embed.dsum = gradients.dsum + first * width;
    if (drows.data != nullptr) embed.drows = at(drows.data, drows.dtype, first * width);
    embed.accumulate = accumulate;
    embed.dgamma = partial;
    embed.dbeta = partial + width;
    embed.dtoken_type = partial + 2 * width;
    embed.scratch = carver.take<float>(4 * width);
    kernels_.embed_backward(embed);
  });

  const auto combine = [&](const Parameter& parameter, std::int64_t which) {
    if (parameter.gradient.data == nullptr) return;
    kernels_.column_sums(gradient(parameter), true, 1, gradients.partial + which * width,
                         DType::kFloat32, piece_count(y.rows), width, 3 * width);
  };
  combine(block.norm_weight, 0);
  combine(block.norm_bias, 1);
  combine(block.token_type, 2);

  // Rows of the tables are shared by tokens, columns are not: each piece adds, in the order of the
  // tokens, to columns of its own.
  constexpr std::int64_t kPieceCols = 64;
  float* word = ids.data == nullptr ? nullptr : gradient(block.word);
  parallel_for((width + kPieceCols - 1) / kPieceCols, [&](std::int64_t piece, int) {
    const std::int64_t col = piece * kPieceCols, cols = std::min(kPieceCols, width - col);
    const auto add = [&](float* table, View index) {
      kernels_.add_rows(table + col, width, static_cast<const std::int32_t*>(index.data),
                        gradients.dsum + col, DType::kFloat32, width, y.rows, cols);
    };
    if (word != nullptr) add(word, ids);
    if (block.position.gradient.data != nullptr) {
      add(gradient(block.position), segments.positions);
    }
  });
}

}  // namespace barcodemae
