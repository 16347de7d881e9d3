// SPDX-License-Identifier: MIT
// y = LN(x + dropout(W₂ · gelu(W₁ · x + b₁) + b₂))
#include <algorithm>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernels/gelu.h"
#include "backend/cuda/kernels/rows.h"
#include "base/error.h"

namespace barcodemae {
namespace {

using namespace cuda;

struct Saved {
  View inner;          // [T, F]: W₁ · x + b₁
  View activated;      // [T, F]: gelu of it
  View sum;            // [T, H]: before the norm
  float *mean, *rstd;  // [T]

  Saved(Carver& carver, std::int64_t rows, std::int64_t width, std::int64_t inner_width, DType type)
      : inner(carver.take(rows, inner_width, type)),
        activated(carver.take(rows, inner_width, type)),
        sum(carver.take(rows, width, type)),
        mean(carver.take<float>(rows)),
        rstd(carver.take<float>(rows)) {}
};

struct Gradients {
  View sum;        // [T, H]
  View projected;  // [T, H]: after W₂
  View inner;      // [T, F]
  float* partial;  // sums over the rows

  Gradients(Carver& carver, std::int64_t rows, std::int64_t width, std::int64_t inner_width,
            DType type)
      : sum(carver.take(rows, width, type)),
        projected(carver.take(rows, width, type)),
        inner(carver.take(rows, inner_width, type)),
        partial(carver.take<float>((rows + kGeluPieceRows - 1) / kGeluPieceRows *
                                   std::max(3 * width, inner_width))) {}
};
static_assert(kNormPieceRows >= kGeluPieceRows, "one array holds the partial sums of both");

}  // namespace

KernelMemory CudaBackend::feed_forward_block_memory(const FeedForwardBlock& block,
                                                    const Segments& segments, DType activation,
                                                    bool backward) const {
  const View in = block.in_weight.value;
  // The kernels take eight neighbours at a time.
  if (in.rows % 8 != 0) {
    throw UserError(
        "feed-forward layers of {}: on a GPU their width is a multiple of 8\nUse --device cpu.",
        in.rows);
  }
  Carver saved(nullptr), gradients(nullptr);
  Saved(saved, segments.rows(), in.cols, in.rows, activation);
  if (!backward) return {.saved = 0, .forward_scratch = saved.used()};
  Gradients(gradients, segments.rows(), in.cols, in.rows, activation);
  return {.saved = saved.used(), .forward_scratch = 0, .backward_scratch = gradients.used()};
}

void CudaBackend::feed_forward_block_forward(View y, View x, const FeedForwardBlock& block,
                                             const Segments& segments, const Dropout& dropout,
                                             Bytes saved_bytes, Bytes scratch) {
  Carver carver(kept_in(saved_bytes, scratch));
  const Saved saved(carver, x.rows, x.cols, block.in_weight.value.rows, x.dtype);
  project(saved.inner, x, block.in_weight, block.in_bias);
  gelu_forward(stream_, saved.activated, saved.inner);
  project(saved.sum, saved.activated, block.out_weight, block.out_bias);
  Norm norm = norm_of(y, block.norm_weight, block.norm_bias, block.norm_epsilon, segments, dropout);
  if (saved_bytes.size > 0) {
    norm.mean = saved.mean;
    norm.rstd = saved.rstd;
  }
  residual_norm_forward(stream_, norm, {y.data, saved.sum.data, x.data});
}

void CudaBackend::feed_forward_block_backward(View dx, bool accumulate, View dy, View y, View x,
                                              const FeedForwardBlock& block,
                                              const Segments& segments, const Dropout& dropout,
                                              Bytes saved_bytes, Bytes scratch) {
  const std::int64_t inner_width = block.in_weight.value.rows;
  Carver saved_carver(saved_bytes.data), carver(scratch.data);
  const Saved saved(saved_carver, x.rows, x.cols, inner_width, x.dtype);
  const Gradients d(carver, x.rows, x.cols, inner_width, x.dtype);
  Norm norm = norm_of(y, block.norm_weight, block.norm_bias, block.norm_epsilon, segments, dropout);
  norm.mean = saved.mean;
  norm.rstd = saved.rstd;
  const View projected = residual_backward(d.sum, d.projected, dy, saved.sum, d.partial, norm,
                                           block.norm_weight, block.norm_bias, block.out_bias);
  add_weight_gradient(block.out_weight, projected, saved.activated);
  project_back(d.inner, projected, block.out_weight);
  gelu_backward(stream_, d.inner, saved.inner, d.partial);
  if (block.in_bias.gradient.data != nullptr) {
    add_partial_sums(stream_, gradient(block.in_bias), d.partial,
                     (x.rows + kGeluPieceRows - 1) / kGeluPieceRows, inner_width, inner_width);
  }
  add_weight_gradient(block.in_weight, d.inner, x);
  if (dx.data == nullptr) return;
  if (accumulate) add(stream_, d.sum, d.sum, dx);
  project_back(dx, d.inner, block.in_weight, d.sum.data);
}

}  // namespace barcodemae
