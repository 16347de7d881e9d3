// SPDX-License-Identifier: MIT
// What oneDNN has no call for: single-threaded kernels over rows and over one attention head, in
// one table per instruction set. The caller decides on threads and on pieces; a kernel's result
// depends on its arguments alone, and every sum is taken in a fixed order.
//
// Conventions
//   * Matrices are row-major. A stride is the distance between rows in elements; where there is
//     none, rows are compact. `void*` data have the type named beside them: kFloat32 or kBFloat16.
//   * Computation is in float32; stores to bfloat16 round to nearest even.
//   * Pointers marked "or null" switch the thing off. Outputs marked "+=" accumulate.
//   * Outputs may alias inputs of the same type, stride and shape, element for element, unless said
//     otherwise.
//   * Any number of columns; a multiple of 16 is fastest.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/machine.h"
#include "tensor/view.h"

namespace barcodemae::cpu {

/// Dropout masks, exactly as struct Dropout of tensor/backend.h documents them, are kept as bits:
/// of element (r, c), bit c mod 8 of byte keep[r · keep_stride(cols) + c / 8] is 1 when it is kept.
static constexpr std::int64_t keep_stride(std::int64_t cols) { return (cols + 7) / 8; }
/// Size of such a mask; kernels may read (not write) a few bytes past the last row.
static constexpr std::size_t keep_bytes(std::int64_t rows, std::int64_t cols) {
  return static_cast<std::size_t>(rows * keep_stride(cols)) + 16;
}

/// A dropout site at one step. `threshold` 0: the identity.
struct DropoutStream {
  std::uint64_t seed = 0;
  std::uint32_t stream = 0;  ///< Stream::kDropout + site
  std::uint32_t step = 0;
  std::uint32_t threshold = 0;  ///< Dropout::threshold()
  float scale = 1;              ///< Dropout::scale()
};

struct KeepBits {
  std::int64_t rows = 0, cols = 0;
  DropoutStream dropout;
  const std::int32_t* records = nullptr;    ///< [rows]: the record each row belongs to
  const std::int32_t* positions = nullptr;  ///< [rows]: its position in its own sequence
  std::uint8_t* keep = nullptr;             ///< out, keep_bytes(rows, cols); written unpadded
};

/// y = x ∘ keep · keep_scale
struct DropoutRows {
  std::int64_t rows = 0, cols = 0;
  DType type = DType::kFloat32;
  void* y = nullptr;
  const void* x = nullptr;
  const std::uint8_t* keep = nullptr;
  float keep_scale = 1;
};

/// y = LN(x + dropout(product + bias)): what follows the second GEMM of a transformer sub-layer.
struct ResidualNormForward {
  std::int64_t rows = 0, cols = 0;
  DType type = DType::kFloat32;          ///< of y, x and sum
  DType product_type = DType::kFloat32;  ///< of product
  void* y = nullptr;
  const void* x = nullptr;
  const void* product = nullptr;
  const float* bias = nullptr;         ///< [cols], or null
  const std::uint8_t* keep = nullptr;  ///< or null: no dropout
  float keep_scale = 1;
  const float* gamma = nullptr;  ///< [cols]
  const float* beta = nullptr;   ///< [cols]
  float epsilon = 1e-12f;
  float* mean = nullptr;  ///< out [rows], or null
  float* rstd = nullptr;  ///< out [rows], or null: 1/√(variance + ε)
  void* sum = nullptr;  ///< out [rows, cols], or null: x + dropout(product + bias), before the norm
  float* scratch = nullptr;  ///< [cols]
};

/// Its backward pass.
struct ResidualNormBackward {
  std::int64_t rows = 0, cols = 0;
  DType type = DType::kFloat32;  ///< of dy, sum, dsum and dproduct
  const void* dy = nullptr;
  const void* sum = nullptr;           ///< saved
  const float* mean = nullptr;         ///< [rows], saved
  const float* rstd = nullptr;         ///< [rows], saved
  const float* gamma = nullptr;        ///< [cols]
  const std::uint8_t* keep = nullptr;  ///< or null: no dropout
  float keep_scale = 1;
  void* dsum = nullptr;      ///< out: gradient of the sum, which is the residual's
  bool accumulate = false;   ///< dsum += instead (dproduct is then still of this term only)
  void* dproduct = nullptr;  ///< out, or null: dsum ∘ keep · keep_scale
  float* dgamma = nullptr;   ///< += [cols]
  float* dbeta = nullptr;    ///< += [cols]
  float* dbias = nullptr;    ///< += [cols], or null: column sums of dproduct
  float* scratch = nullptr;  ///< [2 · cols]
};

/// y = dropout(LN(rows + position[p] + token_type)), rows = word[id] or given.
struct EmbedForward {
  std::int64_t rows = 0, cols = 0;
  DType type = DType::kFloat32;  ///< of y and given
  void* y = nullptr;
  const float* word = nullptr;              ///< [V, cols], or null when given
  const std::int32_t* ids = nullptr;        ///< [rows]
  const void* given = nullptr;              ///< [rows, cols], or null when ids
  const float* position = nullptr;          ///< [P, cols]
  const std::int32_t* positions = nullptr;  ///< [rows]
  const float* token_type = nullptr;        ///< [cols]
  const float* gamma = nullptr;
  const float* beta = nullptr;
  float epsilon = 1e-12f;
  const std::uint8_t* keep = nullptr;  ///< or null: no dropout
  float keep_scale = 1;
  float* mean = nullptr;     ///< out [rows], or null
  float* rstd = nullptr;     ///< out [rows], or null
  float* scratch = nullptr;  ///< [cols]; not used in the backward pass
};

/// Its backward pass; the sum before the norm is looked up again.
struct EmbedBackward {
  EmbedForward forward;  ///< as it was called, mean and rstd set; y is not read
  const void* dy = nullptr;
  float* dsum = nullptr;    ///< out [rows, cols] float32, or null: gradient before the norm
  void* drows = nullptr;    ///< out [rows, cols] in forward.type, or null: the same
  bool accumulate = false;  ///< drows += instead
  float* dgamma = nullptr;  ///< += [cols]
  float* dbeta = nullptr;   ///< += [cols]
  float* dtoken_type =
      nullptr;               ///< += [cols], or null: column sums of the gradient before the norm
  float* scratch = nullptr;  ///< [2 · cols]
};

/// out = gelu(product + bias), gelu(z) = z Φ(z).
struct GeluForward {
  std::int64_t rows = 0, cols = 0;
  const void* product = nullptr;
  DType product_type = DType::kFloat32;
  std::int64_t product_stride = 0;
  const float* bias = nullptr;   ///< [cols], or null
  DType type = DType::kFloat32;  ///< of out and pre
  void* out = nullptr;
  std::int64_t out_stride = 0;
  void* pre = nullptr;  ///< out, or null: product + bias, for the backward pass
  std::int64_t pre_stride = 0;
};

/// dpre = dout · gelu'(pre + bias), with gelu(pre + bias) again beside it if wanted.
struct GeluBackward {
  std::int64_t rows = 0, cols = 0;
  const void* dout = nullptr;
  DType dout_type = DType::kFloat32;
  std::int64_t dout_stride = 0;
  const void* pre = nullptr;
  DType pre_type = DType::kFloat32;
  std::int64_t pre_stride = 0;
  const float* bias = nullptr;   ///< [cols], or null when pre holds it already
  DType type = DType::kFloat32;  ///< of dpre and out
  void* dpre = nullptr;
  std::int64_t dpre_stride = 0;
  void* out = nullptr;  ///< out, or null
  std::int64_t out_stride = 0;
  float* dbias = nullptr;  ///< += [cols], or null: column sums of dpre
};

/// Rows of `groups` softmaxes over `classes` logits each.
struct CrossEntropyRows {
  std::int64_t rows = 0, groups = 1, classes = 0;
  float* logits = nullptr;  ///< in [rows, groups · classes]; out: with bias and site added
  std::int64_t logits_stride = 0;
  const float* bias = nullptr;              ///< [groups · classes], or null
  const float* site = nullptr;              ///< [P, groups · classes], or null
  const std::int32_t* positions = nullptr;  ///< [rows]; needed with site
  const std::int32_t* targets = nullptr;    ///< [rows, groups]
  void* dlogits = nullptr;                  ///< out, or null: dscale · (softmax − one-hot)
  DType dlogits_type = DType::kFloat32;
  std::int64_t dlogits_stride = 0;
  float dscale = 1;
};
struct CrossEntropySums {
  double loss = 0;        ///< Σ over rows and groups of −log softmax at the target
  std::int64_t hits = 0;  ///< rows whose every group has its largest logit at the target (of equal
                          ///< logits the first counts as the largest)
};

/// PyTorch's AdamW on a flat range, with everything that does not depend on the element computed
/// beforehand: g' = gradient_scale · g; m = β₁ m + (1 − β₁) g'; v = β₂ v + (1 − β₂) g'²;
/// value = value · decay − step_size · m / (√v · inverse_root + ε); the gradient becomes 0.
struct AdamWRange {
  std::int64_t count = 0;
  float* value = nullptr;
  float* gradient = nullptr;
  float* first_moment = nullptr;
  float* second_moment = nullptr;
  float gradient_scale = 1;
  float beta1 = 0.9f, one_minus_beta1 = 0.1f;
  float beta2 = 0.999f, one_minus_beta2 = 0.001f;
  float epsilon = 1e-8f;
  float decay = 1;         ///< 1 − learning rate · weight decay
  float step_size = 0;     ///< learning rate / bias correction 1
  float inverse_root = 1;  ///< 1 / √(bias correction 2)
};

/// One head of one sequence: context = dropout(softmax(scale · Q Kᵀ)) V. Query, key, value and
/// context are column slices: pointers to the sequence's first row, at the head's first column.
struct AttentionForward {
  std::int64_t tokens = 0;     ///< 0 … 2048
  std::int64_t head_size = 0;  ///< a multiple of 8, up to 256
  DType type = DType::kFloat32;
  const void* query = nullptr;
  const void* key = nullptr;
  const void* value = nullptr;
  std::int64_t stride = 0;  ///< of query, key and value
  void* context = nullptr;
  std::int64_t context_stride = 0;
  float scale = 1;  ///< 1/√head_size
  bool causal = false;
  float* log_sum_exp = nullptr;  ///< out [tokens], or null: of the scaled scores of each query
  DropoutStream dropout;
  std::uint32_t record = 0;                 ///< dropout: the sequence's record
  const std::int32_t* positions = nullptr;  ///< dropout: [tokens], the queries' positions
  std::uint32_t head = 0;                   ///< dropout: channel = head · 2048 + the key's row
  void* scratch = nullptr;                  ///< 64-byte aligned, attention_forward_scratch() bytes
};

/// Its backward pass; probabilities are recomputed from log_sum_exp. Outputs must not alias inputs.
struct AttentionBackward {
  AttentionForward forward;  ///< as it was called; context is not read; scratch is not used
  const void* dcontext = nullptr;
  std::int64_t dcontext_stride = 0;
  void* dquery = nullptr;  ///< out, overwritten
  void* dkey = nullptr;
  void* dvalue = nullptr;
  std::int64_t dstride = 0;  ///< of dquery, dkey and dvalue
  void* scratch = nullptr;   ///< 64-byte aligned, attention_backward_scratch() bytes
};

/// Rows as int8: quantised[r] = round(x[r] / scales[r]) with scales[r] = its largest magnitude /
/// 127.
struct QuantiseRows {
  std::int64_t rows = 0, cols = 0;
  DType type = DType::kFloat32;
  const void* x = nullptr;
  std::int8_t* quantised = nullptr;  ///< out [rows, cols]
  float* scales = nullptr;           ///< out [rows]
};

/// Sums of int8 products as floats: z = sums ∘ (row_scales · col_scales) + bias.
struct Int8Sums {
  std::int64_t rows = 0, cols = 0;
  const std::int32_t* sums = nullptr;
  const float* row_scales = nullptr;
  const float* col_scales = nullptr;
  const float* bias = nullptr;  ///< [cols], or null
};

/// Float32 products of matrices in panels (panel_product.h). A step of the inner dimension, at most
/// kPanelInner, is packed at a time; panels are padded with zeros along it to whole chunks.
constexpr std::int64_t kPanelInner = 256;
constexpr int kPanelChunk = 8;
constexpr std::int64_t panel_chunks(std::int64_t inner) {
  return (inner + kPanelChunk - 1) / kPanelChunk;
}

/// c [rows, cols] = left · right + bias, or c += left · right.
struct PanelProduct {
  std::int64_t rows = 0, inner = 0, cols = 0;
  const float* left = nullptr;
  bool left_transposed = false;  ///< whether it was packed from its transpose
  const float* right = nullptr;
  float* c = nullptr;
  std::int64_t c_stride = 0;
  bool accumulate = false;
  const float* bias = nullptr;  ///< [cols], or null; not with accumulate
};

struct PanelKernels {
  std::int64_t left_rows, right_cols;  ///< of a panel: sides are padded to whole ones
  void (*multiply)(const PanelProduct&);
  /// From a [rows, inner], and from a [inner, rows].
  void (*pack_left)(float* panels, const float* a, std::int64_t a_stride, std::int64_t rows,
                    std::int64_t inner);
  void (*pack_left_transposed)(float* panels, const float* a, std::int64_t a_stride,
                               std::int64_t rows, std::int64_t inner);
  /// From b [inner, cols], and from b [cols, inner].
  void (*pack_right)(float* panels, const float* b, std::int64_t b_stride, std::int64_t inner,
                     std::int64_t cols);
  void (*pack_right_transposed)(float* panels, const float* b, std::int64_t b_stride,
                                std::int64_t inner, std::int64_t cols);
};

struct Kernels {
  SimdLevel level = SimdLevel::kScalar;

  void (*keep_bits)(const KeepBits&);
  void (*dropout_rows)(const DropoutRows&);
  void (*residual_norm_forward)(const ResidualNormForward&);
  void (*residual_norm_backward)(const ResidualNormBackward&);
  void (*embed_forward)(const EmbedForward&);
  void (*embed_backward)(const EmbedBackward&);
  void (*gelu_forward)(const GeluForward&);
  void (*gelu_backward)(const GeluBackward&);
  void (*quantise_rows)(const QuantiseRows&);
  /// out = z
  void (*dequantise_rows)(const Int8Sums&, void* out, DType type);
  /// gelu(z) as int8, see QuantiseRows. `scratch`: [cols].
  void (*gelu_int8)(const Int8Sums&, std::int8_t* quantised, float* scales, float* scratch);
  CrossEntropySums (*cross_entropy)(const CrossEntropyRows&);

  void (*attention_forward)(const AttentionForward&);
  void (*attention_backward)(const AttentionBackward&);
  /// Bytes of scratch for up to `tokens` tokens; grows with tokens and head_size.
  std::size_t (*attention_forward_scratch)(std::int64_t tokens, std::int64_t head_size, DType type);
  std::size_t (*attention_backward_scratch)(std::int64_t tokens, std::int64_t head_size,
                                            DType type);

  /// y = a + b over `count` elements.
  void (*add)(void* y, const void* a, const void* b, DType type, std::int64_t count);
  /// y = x between float32 and bfloat16, or a copy.
  void (*convert)(void* y, DType y_type, const void* x, DType x_type, std::int64_t count);
  /// y[c] = factor · Σ_r x[r, c] (+ y[c] when accumulating), rows in ascending order.
  void (*column_sums)(float* y, bool accumulate, float factor, const void* x, DType x_type,
                      std::int64_t rows, std::int64_t cols, std::int64_t x_stride);
  /// y[r, c] = factor · x[c] (+ y[r, c] when accumulating).
  void (*broadcast_row)(void* y, DType y_type, bool accumulate, float factor, const float* x,
                        std::int64_t rows, std::int64_t cols, std::int64_t y_stride);
  /// table[index[r], c] += x[r, c] for ascending r: gradients of embeddings and site biases. Split
  /// over threads by columns.
  void (*add_rows)(float* table, std::int64_t table_stride, const std::int32_t* index,
                   const void* x, DType x_type, std::int64_t x_stride, std::int64_t rows,
                   std::int64_t cols);
  /// Σ x² in double; NaN or infinite when an element is.
  double (*sum_of_squares)(const float* x, std::int64_t count);
  void (*adamw)(const AdamWRange&);

  PanelKernels panels;
};

/// The table of one instruction-set level. Throws InternalError for a level this machine (or this
/// build) lacks.
const Kernels& kernels(SimdLevel level);
/// The table of machine().simd.
const Kernels& kernels();

}  // namespace barcodemae::cpu
