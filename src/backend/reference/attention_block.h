// SPDX-License-Identifier: MIT
// y = LN(x + dropout(W_o · attention(W_qkv · x + b_qkv) + b_o))
#pragma once

#include "backend/reference/attention.h"
#include "backend/reference/dropout.h"
#include "backend/reference/elementwise.h"
#include "backend/reference/layer_norm.h"
#include "backend/reference/linear.h"
#include "tensor/backend.h"

namespace barcodemae::reference {

/// What the backward pass needs of the forward pass.
template <typename T>
struct AttentionKept {
  Matrix<T> qkv, context;
  Matrix<T> sum;  ///< before the LayerNorm

  AttentionKept(Workspace& memory, std::int64_t rows, std::int64_t width)
      : qkv(memory.matrix<T>(rows, 3 * width)),
        context(memory.matrix<T>(rows, width)),
        sum(memory.matrix<T>(rows, width)) {}
};

template <typename T>
struct AttentionGradients {
  Matrix<T> sum, projected, context, qkv;

  AttentionGradients(Workspace& memory, std::int64_t rows, std::int64_t width)
      : sum(memory.matrix<T>(rows, width)),
        projected(memory.matrix<T>(rows, width)),
        context(memory.matrix<T>(rows, width)),
        qkv(memory.matrix<T>(rows, 3 * width)) {}
};

template <typename T>
void attention_block_forward(Matrix<T> y, Input<T> x, const AttentionBlock& block,
                             const Segments& segments, const Dropout& probabilities,
                             const Dropout& output, Workspace memory, bool int8) {
  const AttentionKept<T> kept(memory, x.rows, x.cols);
  linear_forward(kept.qkv, x, typed<T>(block.qkv_weight.value), typed<T>(block.qkv_bias.value),
                 int8);
  attention_forward(kept.context, kept.qkv, segments, block.heads, block.causal, probabilities);
  linear_forward(kept.sum, kept.context, typed<T>(block.output_weight.value),
                 typed<T>(block.output_bias.value), int8);
  dropout_rows(kept.sum, output, row_names(segments));
  add_to(kept.sum, x);
  layer_norm_forward(y, kept.sum, typed<T>(block.norm_weight.value),
                     typed<T>(block.norm_bias.value), block.norm_epsilon);
}

template <typename T>
void attention_block_backward(Matrix<T> dx, bool accumulate, Input<T> dy, Input<T> x,
                              const AttentionBlock& block, const Segments& segments,
                              const Dropout& probabilities, const Dropout& output, Workspace memory,
                              Workspace scratch) {
  const AttentionKept<T> kept(memory, x.rows, x.cols);
  const AttentionGradients<T> d(scratch, x.rows, x.cols);
  layer_norm_backward(d.sum, typed<T>(block.norm_weight.gradient),
                      typed<T>(block.norm_bias.gradient), dy, kept.sum,
                      typed<T>(block.norm_weight.value), block.norm_epsilon);
  copy(d.projected, d.sum);
  dropout_rows(d.projected, output, row_names(segments));
  linear_backward_parameters(typed<T>(block.output_weight.gradient),
                             typed<T>(block.output_bias.gradient), d.projected, kept.context);
  linear_backward_input(d.context, false, d.projected, typed<T>(block.output_weight.value));
  attention_backward(d.qkv, d.context, kept.qkv, segments, block.heads, block.causal,
                     probabilities);
  linear_backward_parameters(typed<T>(block.qkv_weight.gradient), typed<T>(block.qkv_bias.gradient),
                             d.qkv, x);
  if (dx.data == nullptr) return;
  linear_backward_input(dx, accumulate, d.qkv, typed<T>(block.qkv_weight.value));
  add_to(dx, d.sum);
}

}  // namespace barcodemae::reference
