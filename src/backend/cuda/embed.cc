// SPDX-License-Identifier: MIT
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernels/rows.h"

namespace barcodemae {
namespace {

using namespace cuda;

struct Saved {
  float *mean, *rstd;  // [T]
  View sum;            // [T, H]: before the norm

  Saved(Carver& carver, std::int64_t rows, std::int64_t width, DType type)
      : mean(carver.take<float>(rows)),
        rstd(carver.take<float>(rows)),
        sum(carver.take(rows, width, type)) {}
};

struct Gradients {
  View sum;        // [T, H] float32: before the norm
  float* partial;  // [pieces, 3, H]

  Gradients(Carver& carver, std::int64_t rows, std::int64_t width)
      : sum(carver.take(rows, width, DType::kFloat32)),
        partial(carver.take<float>((rows + kNormPieceRows - 1) / kNormPieceRows * 3 * width)) {}
};

}  // namespace

KernelMemory CudaBackend::embed_memory(const EmbeddingBlock& block, std::int64_t rows,
                                       bool backward) const {
  if (!backward) return {};
  const std::int64_t width = block.position.value.cols;
  Carver saved(nullptr), gradients(nullptr);
  Saved(saved, rows, width, DType::kFloat32);  // the wider of the two types
  Gradients(gradients, rows, width);
  return {.saved = saved.used(), .forward_scratch = 0, .backward_scratch = gradients.used()};
}

void CudaBackend::embed_forward(View y, View ids, View rows, const EmbeddingBlock& block,
                                const Segments& segments, const Dropout& dropout, Bytes saved_bytes,
                                Bytes) {
  Norm norm = norm_of(y, block.norm_weight, block.norm_bias, block.norm_epsilon, segments, dropout);
  EmbedForward embed;
  if (saved_bytes.size > 0) {
    Carver carver(saved_bytes.data);
    const Saved saved(carver, y.rows, y.cols, y.dtype);
    norm.mean = saved.mean;
    norm.rstd = saved.rstd;
    embed.sum = saved.sum.data;
  }
  embed.y = y.data;
  embed.ids = integers(ids);
  embed.rows = rows.data;
  embed.word = values(block.word);
  embed.position = values(block.position);
  embed.token_type = values(block.token_type);
  cuda::embed_forward(stream_, norm, embed);
}

void CudaBackend::embed_backward(View drows, bool accumulate, View dy, View y, View ids, View,
                                 const EmbeddingBlock& block, const Segments& segments,
                                 const Dropout& dropout, Bytes saved_bytes, Bytes scratch) {
  Norm norm = norm_of(y, block.norm_weight, block.norm_bias, block.norm_epsilon, segments, dropout);
  Carver saved_carver(saved_bytes.data), carver(scratch.data);
  const Saved saved(saved_carver, y.rows, y.cols, y.dtype);
  const Gradients gradients(carver, y.rows, y.cols);
  norm.mean = saved.mean;
  norm.rstd = saved.rstd;
  EmbedBackward embed;
  embed.dsum = static_cast<float*>(gradients.sum.data);
  embed.drows = drows.data;
  embed.accumulate = accumulate;
  embed.dy = dy.data;
  embed.sum = saved.sum.data;
  embed.partial = gradients.partial;
  cuda::embed_backward(stream_, norm, embed);
  Parameter token_type = block.token_type;  // its row 0
  add_norm_gradients(gradients.partial, y.rows, y.cols, block.norm_weight, block.norm_bias,
                     token_type);
  if (ids.data != nullptr && block.word.gradient.data != nullptr) {
    add_to_table(stream_, block.word.gradient, integers(ids), gradients.sum, y.cols);
  }
  if (block.position.gradient.data != nullptr) {
    add_to_table(stream_, block.position.gradient, integers(segments.positions), gradients.sum,
                 y.cols);
  }
}

}  // namespace barcodemae
