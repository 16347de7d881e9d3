// SPDX-License-Identifier: MIT
// Scaled dot-product attention with several heads, each sequence of a packed batch for itself
// (Vaswani et al., "Attention is all you need", 2017, section 3.2).
#pragma once

#include <cmath>
#include <vector>

#include "backend/reference/dropout.h"
#include "backend/reference/matrix.h"
#include "backend/reference/softmax.h"
#include "tensor/backend.h"

namespace barcodemae::reference {

/// One query of one head and the keys it sees.
struct AttentionQuery {
  std::int64_t row = 0;        ///< of the query
  std::int64_t first_key = 0;  ///< row of the first key
  std::int64_t keys = 0;       ///< rows first_key … first_key + keys − 1 are seen
  std::int64_t head = 0;
};

/// Calls body(query) for every head and row.
template <typename Body>
void for_each_query(const Segments& segments, int heads, bool causal, Body&& body) {
  for (std::size_t sequence = 0; sequence + 1 < segments.begins.size(); ++sequence) {
    const std::int64_t first = segments.begins[sequence], end = segments.begins[sequence + 1];
    for (std::int64_t head = 0; head < heads; ++head) {
      for (std::int64_t row = first; row < end; ++row) {
        body(AttentionQuery{row, first, (causal ? row + 1 : end) - first, head});
      }
    }
  }
}

/// softmax(q · k / √d) of one query over its keys, before dropout.
template <typename T>
void attention_probabilities(std::vector<double>& probabilities, Matrix<const T> qkv,
                             const AttentionQuery& query, std::int64_t width,
                             std::int64_t head_size) {
  const T* q = qkv[query.row] + query.head * head_size;
  probabilities.assign(static_cast<std::size_t>(query.keys), 0.0);
  for (std::int64_t j = 0; j < query.keys; ++j) {
    const T* k = qkv[query.first_key + j] + width + query.head * head_size;
    double score = 0;
    for (std::int64_t i = 0; i < head_size; ++i) score += static_cast<double>(q[i]) * k[i];
    probabilities[static_cast<std::size_t>(j)] = score / std::sqrt(head_size);
  }
  softmax(probabilities.data(), query.keys);
}

/// context [T, H] = Σ over keys of dropout(probability) · value, from qkv [T, 3H].
template <typename T>
void attention_forward(Matrix<T> context, Input<T> qkv, const Segments& segments, int heads,
                       bool causal, const Dropout& dropout) {
  const std::int64_t width = context.cols, head_size = width / heads;
  const std::vector<RowName> names = row_names(segments);
  std::vector<double> probabilities;
  for_each_query(segments, heads, causal, [&](const AttentionQuery& query) {
    attention_probabilities<T>(probabilities, qkv, query, width, head_size);
    dropout_row(probabilities.data(), query.keys, dropout,
                names[static_cast<std::size_t>(query.row)], query.head * 2048);
    std::vector<double> sums(static_cast<std::size_t>(head_size), 0.0);
    for (std::int64_t j = 0; j < query.keys; ++j) {
      const T* v = qkv[query.first_key + j] + 2 * width + query.head * head_size;
      const double probability = probabilities[static_cast<std::size_t>(j)];
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += probability * v[i];
    }
    T* out = context[query.row] + query.head * head_size;
    for (std::size_t i = 0; i < sums.size(); ++i) out[i] = static_cast<T>(sums[i]);
  });
}

/// dqkv [T, 3H] overwritten.
template <typename T>
void attention_backward(Matrix<T> dqkv, Input<T> dcontext, Input<T> qkv, const Segments& segments,
                        int heads, bool causal, const Dropout& dropout) {
  const std::int64_t width = dcontext.cols, head_size = width / heads;
  const std::vector<RowName> names = row_names(segments);
  std::vector<double> sums(static_cast<std::size_t>(dqkv.size()), 0.0);
  const Matrix<double> gradient{sums.data(), dqkv.rows, dqkv.cols};
  std::vector<double> probabilities, dropped, dscores;
  for_each_query(segments, heads, causal, [&](const AttentionQuery& query) {
    const RowName name = names[static_cast<std::size_t>(query.row)];
    const std::int64_t channel = query.head * head_size;
    const T* dout = dcontext[query.row] + channel;
    attention_probabilities<T>(probabilities, qkv, query, width, head_size);
    dropped = probabilities;
    dropout_row(dropped.data(), query.keys, dropout, name, query.head * 2048);

    dscores.assign(probabilities.size(), 0.0);
    for (std::int64_t j = 0; j < query.keys; ++j) {
      const auto key = static_cast<std::size_t>(j);
      const T* v = qkv[query.first_key + j] + 2 * width + channel;
      double* dv = gradient[query.first_key + j] + 2 * width + channel;
      for (std::int64_t i = 0; i < head_size; ++i) {
        dv[i] += dropped[key] * dout[i];
        dscores[key] += static_cast<double>(dout[i]) * v[i];
      }
    }
    dropout_row(dscores.data(), query.keys, dropout, name, query.head * 2048);
    softmax_backward(dscores.data(), probabilities.data(), query.keys);

    const T* q = qkv[query.row] + channel;
    double* dq = gradient[query.row] + channel;
    for (std::int64_t j = 0; j < query.keys; ++j) {
      const double dscore = dscores[static_cast<std::size_t>(j)] / std::sqrt(head_size);
      const T* k = qkv[query.first_key + j] + width + channel;
      double* dk = gradient[query.first_key + j] + width + channel;
      for (std::int64_t i = 0; i < head_size; ++i) {
        dq[i] += dscore * k[i];
        dk[i] += dscore * q[i];
      }
    }
  });
  for (std::int64_t i = 0; i < dqkv.size(); ++i) dqkv.data[i] = static_cast<T>(gradient.data[i]);
}

}  // namespace barcodemae::reference
