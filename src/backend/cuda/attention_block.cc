// SPDX-License-Identifier: MIT
// y = LN(x + dropout(W_o · attention(W_qkv · x + b_qkv) + b_o))
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernels/attention.h"
#include "backend/cuda/kernels/rows.h"

namespace barcodemae {
namespace {

using namespace cuda;

struct Saved {
  View qkv;            // [T, 3H]
  View context;        // [T, H]
  View sum;            // [T, H]: before the norm
  float *mean, *rstd;  // [T]
  float* log_sum_exp;  // [heads, T]

  Saved(Carver& carver, std::int64_t rows, std::int64_t width, int heads, DType type)
      : qkv(carver.take(rows, 3 * width, type)),
        context(carver.take(rows, width, type)),
        sum(carver.take(rows, width, type)),
        mean(carver.take<float>(rows)),
        rstd(carver.take<float>(rows)),
        log_sum_exp(carver.take<float>(rows * heads)) {}
};

struct Gradients {
  View sum;         // [T, H]
  View projected;   // [T, H]: after W_o
  View context;     // [T, H]
  View qkv;         // [T, 3H]
  float* partial;   // sums over the rows
  void* attention;  // attention_backward()'s own

  Gradients(Carver& carver, const Attention& attention_call)
      : sum(carver.take(attention_call.rows, attention_call.width, attention_call.type)),
        projected(carver.take(attention_call.rows, attention_call.width, attention_call.type)),
        context(carver.take(attention_call.rows, attention_call.width, attention_call.type)),
        qkv(carver.take(attention_call.rows, 3 * attention_call.width, attention_call.type)),
        partial(carver.take<float>((attention_call.rows + kSumPieceRows - 1) / kSumPieceRows * 3 *
                                   attention_call.width)),
        attention(carver.take_bytes(attention_backward_scratch(attention_call))) {}
};
static_assert(kNormPieceRows >= kSumPieceRows, "one array holds the partial sums of both");

Attention describe(const AttentionBlock& block, const Segments& segments, DType type,
                   const Dropout& dropout) {
  Attention attention;
  attention.type = type;
  attention.rows = segments.rows();
  attention.width = block.output_weight.value.rows;
  attention.heads = block.heads;
  attention.causal = block.causal;
  attention.names = row_names(segments);
  attention.longest = segments.longest;
  attention.dropout = dropout_stream(dropout);
  return attention;
}

}  // namespace

KernelMemory CudaBackend::attention_block_memory(const AttentionBlock& block,
                                                 const Segments& segments, DType activation,
                                                 bool backward) const {
  const Attention attention = describe(block, segments, activation, {});
  Carver saved(nullptr), gradients(nullptr);
  Saved(saved, attention.rows, attention.width, block.heads, activation);
  if (!backward) return {.saved = 0, .forward_scratch = saved.used()};
  Gradients(gradients, attention);
  return {.saved = saved.used(), .forward_scratch = 0, .backward_scratch = gradients.used()};
}

void CudaBackend::attention_block_forward(View y, View x, const AttentionBlock& block,
                                          const Segments& segments, const Dropout& probabilities,
                                          const Dropout& output, Bytes saved_bytes, Bytes scratch) {
  Carver carver(kept_in(saved_bytes, scratch));
  const Saved saved(carver, x.rows, x.cols, block.heads, x.dtype);
  const bool keeping = saved_bytes.size > 0;
  project(saved.qkv, x, block.qkv_weight, block.qkv_bias);
  Attention attention = describe(block, segments, x.dtype, probabilities);
  attention.qkv = saved.qkv.data;
  attention_forward(stream_, saved.context.data, keeping ? saved.log_sum_exp : nullptr, attention);
  project(saved.sum, saved.context, block.output_weight, block.output_bias);
  Norm norm = norm_of(y, block.norm_weight, block.norm_bias, block.norm_epsilon, segments, output);
  if (keeping) {
    norm.mean = saved.mean;
    norm.rstd = saved.rstd;
  }
  residual_norm_forward(stream_, norm, {y.data, saved.sum.data, x.data});
}

void CudaBackend::attention_block_backward(View dx, bool accumulate, View dy, View y, View x,
                                           const AttentionBlock& block, const Segments& segments,
                                           const Dropout& probabilities, const Dropout& output,
                                           Bytes saved_bytes, Bytes scratch) {
  Attention attention = describe(block, segments, x.dtype, probabilities);
  Carver saved_carver(saved_bytes.data), carver(scratch.data);
  const Saved saved(saved_carver, x.rows, x.cols, block.heads, x.dtype);
  const Gradients d(carver, attention);
  attention.qkv = saved.qkv.data;
  Norm norm = norm_of(y, block.norm_weight, block.norm_bias, block.norm_epsilon, segments, output);
  norm.mean = saved.mean;
  norm.rstd = saved.rstd;
  const View projected = residual_backward(d.sum, d.projected, dy, saved.sum, d.partial, norm,
                                           block.norm_weight, block.norm_bias, block.output_bias);
  add_weight_gradient(block.output_weight, projected, saved.context);
  project_back(d.context, projected, block.output_weight);
  attention_backward(stream_, d.qkv.data, d.context.data, saved.context.data, saved.log_sum_exp,
                     d.attention, attention);
  add_weight_gradient(block.qkv_weight, d.qkv, x);
  add_bias_gradient(block.qkv_bias, d.qkv, d.partial);
  if (dx.data == nullptr) return;
  if (accumulate) add(stream_, d.sum, d.sum, dx);
  project_back(dx, d.qkv, block.qkv_weight, d.sum.data);
}

}  // namespace barcodemae
