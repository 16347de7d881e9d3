// SPDX-License-Identifier: MIT
// The head and its loss, by chunks of scored rows: a chunk's logits live in one thread's scratch
// until its loss and its gradient are known; only the gradient is kept, in the activation type.
#include <algorithm>
#include <array>
#include <cstring>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/row_blocks.h"
#include "base/error.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

using namespace cpu;

constexpr std::int64_t kChunkRows = 128;

std::int64_t chunk_count(std::int64_t scored) { return (scored + kChunkRows - 1) / kChunkRows; }

// Kept from forward to backward; rows are the scored ones, up to whole chunks.
struct Saved {
  void* dlogits;  // [rows, C]: scale · (softmax − one-hot); dead rows 0

  Saved(Carver& carver, std::int64_t scored, std::int64_t logits, DType type)
      : dlogits(carver.take(chunk_count(scored) * kChunkRows * logits, type)) {}
};

struct ChunkSums {
  double loss;
  double hits;
};

struct ForwardShared {
  ChunkSums* sums;  // [chunks]

  ForwardShared(Carver& carver, std::int64_t scored)
      : sums(carver.take<ChunkSums>(chunk_count(scored))) {}
};

// One thread's, for one chunk.
struct ChunkScratch {
  std::int32_t *records, *positions;  // [rows]
  std::uint8_t* keep;                 // [rows, keep_stride(H)]

  ChunkScratch(Carver& carver, std::int64_t width)
      : records(carver.take<std::int32_t>(kChunkRows)),
        positions(carver.take<std::int32_t>(kChunkRows)),
        keep(carver.take<std::uint8_t>(static_cast<std::int64_t>(keep_bytes(kChunkRows, width)))) {}
};

struct ForwardScratch {
  ChunkScratch chunk;
  void* x;        // [rows, H]
  float* logits;  // [rows, C]
  float* row;     // [C]

  ForwardScratch(Carver& carver, std::int64_t width, std::int64_t logit_count, DType type)
      : chunk(carver, width),
        x(carver.take(kChunkRows * width, type)),
        logits(carver.take<float>(kChunkRows * logit_count)),
        row(carver.take<float>(logit_count)) {}
};

struct BackwardScratch {
  ChunkScratch chunk;
  void* product;  // [rows, H]
  void* x;        // [rows, H]

  BackwardScratch(Carver& carver, std::int64_t width, DType type)
      : chunk(carver, width),
        product(carver.take(kChunkRows * width, type)),
        x(carver.take(kChunkRows * width, type)) {}
};

struct BackwardShared {
  void* x;                  // operand [rows, H]: scored rows, dropped out, times dloss
  void* dlogits;            // operand [rows, C], when packed; else as saved
  float* partial;           // [chunks, C]: of the bias
  std::int32_t* positions;  // [rows]

  BackwardShared(Carver& carver, std::int64_t scored, std::int64_t width, std::int64_t logits,
                 DType type)
      : x(carver.take_bytes(GradientOperand::bytes(chunk_count(scored) * kChunkRows, width, type))),
        dlogits(carver.take_bytes(
            GradientOperand::packed(type)
                ? GradientOperand::bytes(chunk_count(scored) * kChunkRows, logits, type)
                : 0)),
        partial(carver.take<float>(chunk_count(scored) * logits)),
        positions(carver.take<std::int32_t>(chunk_count(scored) * kChunkRows)) {}
};

std::int64_t logit_count(const CrossEntropyHead& head) {
  return std::int64_t{head.groups} * head.classes;
}

// Records and positions of a chunk's rows, and their dropout bits (all ones without dropout).
void look_up(const Kernels& kernels, const ChunkScratch& scratch, const std::int32_t* index,
             std::int64_t count, const Segments& segments, const Dropout& dropout,
             std::int64_t width) {
  const auto* positions = static_cast<const std::int32_t*>(segments.positions.data);
  for (std::int64_t row = 0; row < count; ++row) {
    expand_records(scratch.records + row, segments, index[row], 1);
    scratch.positions[row] = positions[index[row]];
  }
  if (dropout.threshold() == 0) {
    std::memset(scratch.keep, 0xFF, keep_bytes(kChunkRows, width));
    return;
  }
  KeepBits bits;
  bits.rows = count;
  bits.cols = width;
  bits.dropout = dropout_stream(dropout);
  bits.records = scratch.records;
  bits.positions = scratch.positions;
  bits.keep = scratch.keep;
  kernels.keep_bits(bits);
}

// Rows index[0 … count − 1] of x ∘ keep · factor, then dead rows of zeros up to a whole chunk.
void gather(const Kernels& kernels, void* destination, View x, const std::int32_t* index,
            std::int64_t count, const std::uint8_t* keep, float factor) {
  const std::size_t bytes = static_cast<std::size_t>(x.cols) * size_of(x.dtype);
  for (std::int64_t row = 0; row < count; ++row) {
    std::memcpy(at(destination, x.dtype, row * x.cols), at(x.data, x.dtype, index[row] * x.cols),
                bytes);
  }
  std::memset(at(destination, x.dtype, count * x.cols), 0,
              static_cast<std::size_t>(kChunkRows - count) * bytes);
  kernels.dropout_rows({count, x.cols, x.dtype, destination, destination, keep, factor});
}

// What soft targets change in a chunk that was computed with hard ones. Returns the change of Σ
// loss.
double soften(const Kernels& kernels, const CrossEntropyHead& head, const CrossEntropyRows& done,
              float* row_scratch) {
  const std::int64_t classes = head.classes, width = done.groups * classes;
  const auto* soft = static_cast<const float*>(head.soft.data);
  double change = 0;
  for (std::int64_t row = 0; row < done.rows; ++row) {
    void* dlogits = nullptr;
    if (done.dlogits != nullptr) {
      dlogits = at(done.dlogits, done.dlogits_type, row * done.dlogits_stride);
      kernels.convert(row_scratch, DType::kFloat32, dlogits, done.dlogits_type, width);
    }
    for (std::int64_t group = 0; group < done.groups; ++group) {
      const std::int64_t target = done.targets[row * done.groups + group];
      const float* logits = done.logits + row * done.logits_stride + group * classes;
      const float* distribution = soft + target * classes;
      double expected = 0;
      for (std::int64_t c = 0; c < classes; ++c) {
        expected += static_cast<double>(distribution[c]) * logits[c];
      }
      change += logits[target] - expected;
      if (dlogits == nullptr) continue;
      float* d = row_scratch + group * classes;
      d[target] += done.dscale;
      for (std::int64_t c = 0; c < classes; ++c) d[c] -= done.dscale * distribution[c];
    }
    if (dlogits != nullptr) {
      kernels.convert(dlogits, done.dlogits_type, row_scratch, DType::kFloat32, width);
    }
  }
  return change;
}

}  // namespace

KernelMemory CpuBackend::cross_entropy_memory(const CrossEntropyHead& head, std::int64_t,
                                              std::int64_t scored, DType activation,
                                              bool backward) const {
  const std::int64_t width = head.weight.value.cols, logits = logit_count(head);
  const auto threads = static_cast<std::size_t>(thread_count());
  KernelMemory memory;
  Carver shared(nullptr), each(nullptr);
  ForwardShared(shared, scored);
  ForwardScratch(each, width, logits, activation);
  memory.forward_scratch = shared.used() + each.used() * threads;
  if (!backward) return memory;
  Carver saved(nullptr), backward_shared(nullptr), backward_each(nullptr);
  Saved(saved, scored, logits, activation);
  BackwardShared(backward_shared, scored, width, logits, activation);
  BackwardScratch(backward_each, width, activation);
  memory.saved = saved.used();
  memory.backward_scratch = backward_shared.used() + backward_each.used() * threads;
  return memory;
}

void CpuBackend::cross_entropy_forward(View loss, View x, View index, View targets, double scale,
                                       const CrossEntropyHead& head, const Segments& segments,
                                       const Dropout& dropout, Bytes saved_bytes,
                                       Bytes scratch_bytes) {
  const std::int64_t scored = index.rows, width = x.cols, logits = logit_count(head);
  const DType type = x.dtype;
  const WeightMatrix& weight = forward_weight(head.weight, type);
  BARCODEMAE_CHECK(weight.type() == type, "logits of {} weights", to_string(weight.type()));
  Carver saved_carver(saved_bytes.data);
  const Saved saved(saved_carver, scored, logits, type);
  Carver shared_carver(scratch_bytes.data);
  const ForwardShared shared(shared_carver, scored);
  parallel_for(chunk_count(scored), [&](std::int64_t chunk, int thread) {
    const std::int64_t first = chunk * kChunkRows, count = std::min(kChunkRows, scored - first);
    Carver carver = thread_share(scratch_bytes, shared_carver.used(), thread);
    const ForwardScratch scratch(carver, width, logits, type);
    const auto* rows = static_cast<const std::int32_t*>(index.data) + first;
    look_up(kernels_, scratch.chunk, rows, count, segments, dropout, width);
    gather(kernels_, scratch.x, x, rows, count, scratch.chunk.keep, dropout.scale());
    multiply(scratch.logits, DType::kFloat32, scratch.x, kChunkRows, weight, nullptr);
    CrossEntropyRows entropy;
    entropy.rows = count;
    entropy.groups = head.groups;
    entropy.classes = head.classes;
    entropy.logits = scratch.logits;
    entropy.logits_stride = logits;
    entropy.bias = values(head.bias);
    entropy.site = values(head.site);
    entropy.positions = scratch.chunk.positions;
    entropy.targets = static_cast<const std::int32_t*>(targets.data) + first * head.groups;
    if (saved_bytes.size > 0) {
      entropy.dlogits = at(saved.dlogits, type, first * logits);
      entropy.dlogits_type = type;
      entropy.dlogits_stride = logits;
      entropy.dscale = static_cast<float>(scale);
      std::memset(at(saved.dlogits, type, (first + count) * logits), 0,
                  static_cast<std::size_t>((kChunkRows - count) * logits) * size_of(type));
    }
    const CrossEntropySums sums = kernels_.cross_entropy(entropy);
    shared.sums[chunk] = {sums.loss, static_cast<double>(sums.hits)};
    if (head.soft.data != nullptr) {
      shared.sums[chunk].loss += soften(kernels_, head, entropy, scratch.row);
    }
  });
  ChunkSums total{};
  for (std::int64_t chunk = 0; chunk < chunk_count(scored); ++chunk) {
    total.loss += shared.sums[chunk].loss;
    total.hits += shared.sums[chunk].hits;
  }
  auto* result = static_cast<float*>(loss.data);
  result[0] = static_cast<float>(scale * total.loss);
  result[1] = static_cast<float>(total.hits);
}

void CpuBackend::cross_entropy_backward(View dx, bool accumulate, double dloss, View x, View index,
                                        View, double, const CrossEntropyHead& head,
                                        const Segments& segments, const Dropout& dropout,
                                        Bytes saved_bytes, Bytes scratch_bytes) {
  const std::int64_t scored = index.rows, width = x.cols, logits = logit_count(head);
  const DType type = x.dtype;
  Carver saved_carver(saved_bytes.data);
  const Saved saved(saved_carver, scored, logits, type);
  Carver shared_carver(scratch_bytes.data);
  const BackwardShared shared(shared_carver, scored, width, logits, type);
  const WeightMatrix* weight = dx.data == nullptr ? nullptr : &backward_weight(head.weight, type);
  const std::int64_t rows_in_all = chunk_count(scored) * kChunkRows;
  const GradientOperand x_operand(shared.x, GradientOperand::Side::kRight, rows_in_all, width,
                                  type);
  const GradientOperand dlogits_operand(
      GradientOperand::packed(type) ? shared.dlogits : saved.dlogits, GradientOperand::Side::kLeft,
      rows_in_all, logits, type);
  const auto factor = static_cast<float>(dloss);
  if (dx.data != nullptr && !accumulate) zero(dx);

  parallel_for(chunk_count(scored), [&](std::int64_t chunk, int thread) {
    const std::int64_t first = chunk * kChunkRows, count = std::min(kChunkRows, scored - first);
    Carver carver = thread_share(scratch_bytes, shared_carver.used(), thread);
    const BackwardScratch scratch(carver, width, type);
    const auto* rows = static_cast<const std::int32_t*>(index.data) + first;
    look_up(kernels_, scratch.chunk, rows, count, segments, dropout, width);
    std::copy_n(scratch.chunk.positions, count, shared.positions + first);
    void* x_rows = x_operand.place(first, scratch.x);
    gather(kernels_, x_rows, x, rows, count, scratch.chunk.keep, dropout.scale() * factor);
    x_operand.store(first, x_rows, kChunkRows, kChunkRows);
    const void* dlogits = at(saved.dlogits, type, first * logits);
    dlogits_operand.store(first, dlogits, kChunkRows, kChunkRows);
    kernels_.column_sums(shared.partial + chunk * logits, false, factor, dlogits, type, count,
                         logits, logits);
    if (weight == nullptr) return;
    multiply(scratch.product, type, dlogits, kChunkRows, *weight, nullptr);
    kernels_.dropout_rows({count, width, type, scratch.product, scratch.product, scratch.chunk.keep,
                           dropout.scale() * factor});
    for (std::int64_t row = 0; row < count; ++row) {
      void* target = at(dx.data, type, rows[row] * width);
      const void* source = at(scratch.product, type, row * width);
      if (accumulate) {
        kernels_.add(target, target, source, type, width);
      } else {
        std::memcpy(target, source, static_cast<std::size_t>(width) * size_of(type));
      }
    }
  });

  if (head.bias.gradient.data != nullptr) {
    kernels_.column_sums(gradient(head.bias), true, 1, shared.partial, DType::kFloat32,
                         chunk_count(scored), logits, logits);
  }
  if (head.site.gradient.data != nullptr) {
    // Sites times logits are few: sums without the factor first, then one pass over the table.
    const std::int64_t size = head.site.value.size();
    Buffer sums(static_cast<std::size_t>(size) * sizeof(float));
    auto* table = static_cast<float*>(sums.data());
    constexpr std::int64_t kPieceCols = 64;
    parallel_for((logits + kPieceCols - 1) / kPieceCols, [&](std::int64_t piece, int) {
      const std::int64_t col = piece * kPieceCols, cols = std::min(kPieceCols, logits - col);
      kernels_.add_rows(table + col, logits, shared.positions, at(saved.dlogits, type, col), type,
                        logits, scored, cols);
    });
    kernels_.column_sums(gradient(head.site), true, factor, table, DType::kFloat32, 1, size, size);
  }
  add_weight_gradients(
      std::array{WeightGradient{gradient(head.weight), dlogits_operand, x_operand}});
}

}  // namespace barcodemae
