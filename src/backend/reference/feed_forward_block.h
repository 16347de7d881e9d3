// SPDX-License-Identifier: MIT
// y = LN(x + dropout(W₂ · gelu(W₁ · x + b₁) + b₂))
#pragma once

#include "backend/reference/dropout.h"
#include "backend/reference/elementwise.h"
#include "backend/reference/gelu.h"
#include "backend/reference/layer_norm.h"
#include "backend/reference/linear.h"
#include "tensor/backend.h"

namespace barcodemae::reference {

/// What the backward pass needs of the forward pass.
template <typename T>
struct FeedForwardKept {
  Matrix<T> inner;      ///< W₁ · x + b₁
  Matrix<T> activated;  ///< gelu of it
  Matrix<T> sum;        ///< before the LayerNorm

  FeedForwardKept(Workspace& memory, std::int64_t rows, std::int64_t width,
                  std::int64_t inner_width)
      : inner(memory.matrix<T>(rows, inner_width)),
        activated(memory.matrix<T>(rows, inner_width)),
        sum(memory.matrix<T>(rows, width)) {}
};

template <typename T>
struct FeedForwardGradients {
  Matrix<T> sum, projected, inner;

  FeedForwardGradients(Workspace& memory, std::int64_t rows, std::int64_t width,
                       std::int64_t inner_width)
      : sum(memory.matrix<T>(rows, width)),
        projected(memory.matrix<T>(rows, width)),
        inner(memory.matrix<T>(rows, inner_width)) {}
};

template <typename T>
void feed_forward_block_forward(Matrix<T> y, Input<T> x, const FeedForwardBlock& block,
                                const Segments& segments, const Dropout& dropout, Workspace memory,
                                bool int8) {
  const FeedForwardKept<T> kept(memory, x.rows, x.cols, block.in_weight.value.rows);
  linear_forward(kept.inner, x, typed<T>(block.in_weight.value), typed<T>(block.in_bias.value),
                 int8);
  gelu_forward(kept.activated, kept.inner);
  linear_forward(kept.sum, kept.activated, typed<T>(block.out_weight.value),
                 typed<T>(block.out_bias.value), int8);
  dropout_rows(kept.sum, dropout, row_names(segments));
  add_to(kept.sum, x);
  layer_norm_forward(y, kept.sum, typed<T>(block.norm_weight.value),
                     typed<T>(block.norm_bias.value), block.norm_epsilon);
}

template <typename T>
void feed_forward_block_backward(Matrix<T> dx, bool accumulate, Input<T> dy, Input<T> x,
                                 const FeedForwardBlock& block, const Segments& segments,
                                 const Dropout& dropout, Workspace memory, Workspace scratch) {
  const std::int64_t inner_width = block.in_weight.value.rows;
  const FeedForwardKept<T> kept(memory, x.rows, x.cols, inner_width);
  const FeedForwardGradients<T> d(scratch, x.rows, x.cols, inner_width);
  layer_norm_backward(d.sum, typed<T>(block.norm_weight.gradient),
                      typed<T>(block.norm_bias.gradient), dy, kept.sum,
                      typed<T>(block.norm_weight.value), block.norm_epsilon);
  copy(d.projected, d.sum);
  dropout_rows(d.projected, dropout, row_names(segments));
  linear_backward_parameters(typed<T>(block.out_weight.gradient), typed<T>(block.out_bias.gradient),
                             d.projected, kept.activated);
  linear_backward_input(d.inner, false, d.projected, typed<T>(block.out_weight.value));
  gelu_backward(d.inner, d.inner, kept.inner);
  linear_backward_parameters(typed<T>(block.in_weight.gradient), typed<T>(block.in_bias.gradient),
                             d.inner, x);
  if (dx.data == nullptr) return;
  linear_backward_input(dx, accumulate, d.inner, typed<T>(block.in_weight.value));
  add_to(dx, d.sum);
}

}  // namespace barcodemae::reference
