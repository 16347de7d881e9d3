// SPDX-License-Identifier: MIT
// y = dropout(LN(x + position[p] + type[0])), x = word[id] or given rows.
#pragma once

#include "backend/reference/dropout.h"
#include "backend/reference/layer_norm.h"
#include "backend/reference/linear.h"
#include "backend/reference/rows.h"
#include "tensor/backend.h"

namespace barcodemae::reference {

/// What the backward pass needs of the forward pass.
template <typename T>
struct EmbedKept {
  Matrix<T> sum;  ///< before the LayerNorm

  EmbedKept(Workspace& memory, std::int64_t rows, std::int64_t width)
      : sum(memory.matrix<T>(rows, width)) {}
};

template <typename T>
struct EmbedGradients {
  Matrix<T> normal, sum;

  EmbedGradients(Workspace& memory, std::int64_t rows, std::int64_t width)
      : normal(memory.matrix<T>(rows, width)), sum(memory.matrix<T>(rows, width)) {}
};

template <typename T>
void embed_forward(Matrix<T> y, Index ids, Input<T> rows, const EmbeddingBlock& block,
                   const Segments& segments, const Dropout& dropout, Workspace memory) {
  const EmbedKept<T> kept(memory, y.rows, y.cols);
  if (ids.data != nullptr) {
    gather_rows(kept.sum, typed<T>(block.word.value), ids);
  } else {
    copy(kept.sum, rows);
  }
  add_rows(kept.sum, typed<T>(block.position.value), typed<const std::int32_t>(segments.positions));
  const T* type = typed<T>(block.token_type.value)[0];
  for (std::int64_t row = 0; row < y.rows; ++row) {
    for (std::int64_t i = 0; i < y.cols; ++i) kept.sum[row][i] += type[i];
  }
  layer_norm_forward(y, kept.sum, typed<T>(block.norm_weight.value),
                     typed<T>(block.norm_bias.value), block.norm_epsilon);
  dropout_rows(y, dropout, row_names(segments));
}

template <typename T>
void embed_backward(Matrix<T> drows, bool accumulate, Input<T> dy, Index ids,
                    const EmbeddingBlock& block, const Segments& segments, const Dropout& dropout,
                    Workspace memory, Workspace scratch) {
  const EmbedKept<T> kept(memory, dy.rows, dy.cols);
  const EmbedGradients<T> d(scratch, dy.rows, dy.cols);
  copy(d.normal, dy);
  dropout_rows(d.normal, dropout, row_names(segments));
  layer_norm_backward(d.sum, typed<T>(block.norm_weight.gradient),
                      typed<T>(block.norm_bias.gradient), d.normal, kept.sum,
                      typed<T>(block.norm_weight.value), block.norm_epsilon);
  const auto dposition = typed<T>(block.position.gradient);
  const auto dtype = typed<T>(block.token_type.gradient);
  const auto dword = typed<T>(block.word.gradient);
  if (dposition.data != nullptr) {
    add_to_rows(dposition, d.sum, typed<const std::int32_t>(segments.positions));
  }
  if (dtype.data != nullptr) add_column_sums<T>(dtype[0], d.sum);
  if (ids.data != nullptr && dword.data != nullptr) add_to_rows(dword, d.sum, ids);
  if (drows.data != nullptr) store(drows, accumulate, d.sum);
}

}  // namespace barcodemae::reference
