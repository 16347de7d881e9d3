// SPDX-License-Identifier: MIT
// The head and its loss, by chunks of scored rows: a chunk's logits are float32 in scratch until
// its losses and its gradient are known; only the gradient is kept, in the activation type.
#include "backend/cuda/kernels/cross_entropy.h"

#include <algorithm>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernels/rows.h"
#include "base/error.h"

namespace barcodemae {
namespace {

using namespace cuda;

constexpr std::int64_t kChunkRows = 2048;  // 4,096 logits each are 32 MB: they stay in L2

struct Shape {
  std::int64_t scored, width, outputs;
  std::int64_t stride;  // of logits: products want rows that begin at 16 bytes
  int groups;

  Shape(const CrossEntropyHead& head, std::int64_t scored_rows)
      : scored(scored_rows),
        width(head.weight.value.cols),
        outputs(head.weight.value.rows),
        stride((outputs + 7) / 8 * 8),
        groups(head.groups) {}
};

struct Saved {
  View hidden;   // [scored, H]: the scored rows of x after dropout
  View dlogits;  // [scored, stride]: scale · (softmax − target)

  Saved(Carver& carver, const Shape& shape, DType type)
      : hidden(carver.take(shape.scored, shape.width, type)),
        dlogits(carver.take(shape.scored, shape.stride, type)) {}
};

struct ForwardScratch {
  View hidden;  // as saved, for inference
  View logits;  // [a chunk, stride]
  float* losses;
  std::int32_t *misses, *positions;

  ForwardScratch(Carver& carver, const Shape& shape, DType type, bool keeping)
      : hidden(keeping ? View{} : carver.take(shape.scored, shape.width, type)),
        logits(carver.take(std::min(kChunkRows, shape.scored), shape.stride, DType::kFloat32)),
        losses(carver.take<float>(shape.scored * shape.groups)),
        misses(carver.take<std::int32_t>(shape.scored * shape.groups)),
        positions(carver.take<std::int32_t>(shape.scored)) {}
};

struct BackwardScratch {
  View dhidden;             // [scored, H]
  float* partial;           // sums over the columns of dlogits
  std::int32_t* positions;  // [scored]

  BackwardScratch(Carver& carver, const Shape& shape, DType type)
      : dhidden(carver.take(shape.scored, shape.width, type)),
        partial(carver.take<float>(column_sum_count(shape.scored, shape.outputs))),
        positions(carver.take<std::int32_t>(shape.scored)) {}
};

}  // namespace

KernelMemory CudaBackend::cross_entropy_memory(const CrossEntropyHead& head, std::int64_t,
                                               std::int64_t scored, DType activation,
                                               bool backward) const {
  const Shape shape(head, scored);
  Carver forward(nullptr), saved(nullptr), gradients(nullptr);
  ForwardScratch(forward, shape, activation, backward);
  if (!backward) return {.saved = 0, .forward_scratch = forward.used()};
  Saved(saved, shape, activation);
  BackwardScratch(gradients, shape, activation);
  return {.saved = saved.used(),
          .forward_scratch = forward.used(),
          .backward_scratch = gradients.used()};
}

void CudaBackend::cross_entropy_forward(View loss, View x, View index, View targets, double scale,
                                        const CrossEntropyHead& head, const Segments& segments,
                                        const Dropout& dropout, Bytes saved_bytes,
                                        Bytes scratch_bytes) {
  const Shape shape(head, index.rows);
  const bool keeping = saved_bytes.size > 0;
  Carver carver(scratch_bytes.data), saved_carver(saved_bytes.data);
  const ForwardScratch scratch(carver, shape, x.dtype, keeping);
  Saved saved(saved_carver, shape, x.dtype);
  if (!keeping) saved.hidden = scratch.hidden;
  const RowNames names = row_names(segments);
  gather_rows(stream_, saved.hidden, x, integers(index), names, dropout_stream(dropout));
  if (head.site.value.data != nullptr) {
    gather_positions(stream_, scratch.positions, integers(index), shape.scored, names);
  }
  for (std::int64_t first = 0; first < shape.scored; first += kChunkRows) {
    const std::int64_t count = std::min(kChunkRows, shape.scored - first);
    Product product;
    product.a = saved.hidden.slice_rows(first, count);
    product.b = operand(head.weight, x.dtype);
    product.transpose_b = true;
    product.d = {scratch.logits.data, count, shape.outputs, DType::kFloat32};
    product.d_stride = shape.stride;
    gemm_->multiply(product);
    CrossEntropyRows rows;
    rows.rows = count;
    rows.groups = head.groups;
    rows.classes = head.classes;
    rows.logits = static_cast<float*>(scratch.logits.data);
    rows.stride = shape.stride;
    rows.bias = values(head.bias);
    rows.site = values(head.site);
    rows.positions = scratch.positions + first;
    rows.targets = integers(targets) + first * head.groups;
    rows.soft = static_cast<const float*>(head.soft.data);
    if (keeping) rows.dlogits = saved.dlogits.slice_rows(first, count).data;
    rows.dlogits_type = x.dtype;
    rows.scale = static_cast<float>(scale);
    rows.losses = scratch.losses + first * head.groups;
    rows.misses = scratch.misses + first * head.groups;
    cross_entropy_rows(stream_, rows);
  }
  cross_entropy_sums(stream_, static_cast<float*>(loss.data), scratch.losses, scratch.misses,
                     shape.scored, head.groups, scale);
}

void CudaBackend::cross_entropy_backward(View dx, bool accumulate, double dloss, View x, View index,
                                         View, double, const CrossEntropyHead& head,
                                         const Segments& segments, const Dropout& dropout,
                                         Bytes saved_bytes, Bytes scratch_bytes) {
  const Shape shape(head, index.rows);
  Carver saved_carver(saved_bytes.data), carver(scratch_bytes.data);
  const Saved saved(saved_carver, shape, x.dtype);
  const BackwardScratch scratch(carver, shape, x.dtype);
  const auto factor = static_cast<float>(dloss);
  const RowNames names = row_names(segments);
  if (dx.data != nullptr && !accumulate) zero(dx);
  if (shape.scored == 0) return;
  const View dlogits{saved.dlogits.data, shape.scored, shape.outputs, x.dtype};
  add_weight_gradient(head.weight, dlogits, saved.hidden, factor, shape.stride);
  add_bias_gradient(head.bias, dlogits, scratch.partial, factor, shape.stride);
  if (head.site.gradient.data != nullptr) {
    gather_positions(stream_, scratch.positions, integers(index), shape.scored, names);
    add_to_table(stream_, head.site.gradient, scratch.positions, dlogits, shape.stride, factor);
  }
  if (dx.data == nullptr) return;
  Product product;
  product.a = dlogits;
  product.a_stride = shape.stride;
  product.b = operand(head.weight, x.dtype);
  product.d = scratch.dhidden;
  product.alpha = factor;
  gemm_->multiply(product);
  put_rows(stream_, dx, accumulate, scratch.dhidden, integers(index), names,
           dropout_stream(dropout));
}

}  // namespace barcodemae
