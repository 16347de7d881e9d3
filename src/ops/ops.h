// SPDX-License-Identifier: MIT
// The differentiable ops the model is written in: each checks shapes, allocates its output, calls
// the backend, and records its backward pass when there is a tape. One .cc file per op.
// Tensors without rows are legal everywhere; kernels are not launched for them (nor in a dry run).
// Shapes as in tensor/backend.h: T rows (tokens), H width, N sequences.
#pragma once

#include <cstdint>

#include "tensor/context.h"

namespace barcodemae::ops {

/// Word, position and token-type embeddings, LayerNorm, dropout. ids int32 [T, 1] → [T, H].
Tensor embed(Context& context, const EmbeddingBlock& block, View ids, const Segments& segments,
             const Dropout& dropout);
/// The same on given rows [T, H] in place of word embeddings.
Tensor embed_rows(Context& context, const EmbeddingBlock& block, Tensor rows,
                  const Segments& segments, const Dropout& dropout);

/// LN(x + dropout(W_o · attention(x))). [T, H] → [T, H].
Tensor attention_block(Context& context, const AttentionBlock& block, Tensor x,
                       const Segments& segments, const Dropout& probabilities,
                       const Dropout& output);
/// LN(x + dropout(W₂ · gelu(W₁ · x))). [T, H] → [T, H].
Tensor feed_forward_block(Context& context, const FeedForwardBlock& block, Tensor x,
                          const Segments& segments, const Dropout& dropout);

/// x · Wᵀ + b. [T, in] → [T, out].
Tensor linear(Context& context, const LinearLayer& layer, Tensor x);

/// Rows index[i] of x (int32 [R, 1], ascending). [T, H] → [R, H].
Tensor gather_rows(Context& context, Tensor x, View index);
/// A matrix of `rows` rows whose row index[i] is x[i] and whose others are `fill`. [R, H] → [rows,
/// H].
Tensor scatter_rows(Context& context, Tensor x, View index, std::int64_t rows,
                    const Parameter& fill);

/// Mean over the rows of each sequence, in the statistics type. [T, H] → [N, H].
Tensor mean_pool(Context& context, Tensor x, const Segments& segments);

/// a + b, same shapes.
Tensor add(Context& context, Tensor a, Tensor b);

/// x in another type, such as pooled vectors in that of activations.
Tensor convert(Context& context, Tensor x, DType dtype);

/// The backward pass leaves no gradient in this row of a parameter: it keeps its value. To be
/// called before the ops that use the parameter.
void freeze_row(Context& context, const Parameter& parameter, std::int64_t row);

/// What a loss op returns: device memory {scale · Σ, hits}, see Backend::cross_entropy_forward.
struct Loss {
  View values;  ///< [1, 2] in the statistics type
};
/// `weight` · `scale` · Σ cross entropy over rows `index` of x (int32 [R, 1]), targets int32
/// [R, groups]. The value returned is without `weight`; the gradient is with it.
Loss token_cross_entropy(Context& context, const CrossEntropyHead& head, Tensor x, View index,
                         View targets, double scale, double weight, const Segments& segments,
                         const Dropout& dropout);

/// `weight` · `scale` · Σ over the anchors among x [N, H] (the statistics type), labels int32 [N,
/// 1], groups the same or without data: Backend::label_loss_forward.
Loss label_loss(Context& context, const LabelLoss& options, Tensor x, View labels, View groups,
                double scale, double weight);
/// `weight` · `scale` · Σ over pairs int32 [P, 3] of rows of x: Backend::pair_loss_forward.
Loss pair_loss(Context& context, const PairClassifier& classifier, Tensor x, View pairs,
               double scale, double weight);

}  // namespace barcodemae::ops
