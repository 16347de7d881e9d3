// SPDX-License-Identifier: MIT
// Cross entropy of `groups` softmaxes a row, with the dropout and the linear layer in front of it.
#pragma once

#include <algorithm>
#include <vector>

#include "backend/reference/dropout.h"
#include "backend/reference/linear.h"
#include "backend/reference/rows.h"
#include "backend/reference/softmax.h"
#include "tensor/backend.h"

namespace barcodemae::reference {

struct CrossEntropy {
  double loss = 0;   ///< −log softmax(logits)[target]
  bool hit = false;  ///< the target is the first of the largest logits
};

/// Of one softmax over logits[0 … classes − 1], which become the gradient: softmax − the target's
/// distribution, `soft` [classes] or all on the target.
template <typename T>
CrossEntropy softmax_cross_entropy(std::vector<double>& logits, std::int64_t target,
                                   const T* soft) {
  const auto classes = static_cast<std::int64_t>(logits.size());
  BARCODEMAE_CHECK(target >= 0 && target < classes, "target {} of {} classes", target, classes);
  const auto place = static_cast<std::size_t>(target);
  const bool hit = std::max_element(logits.begin(), logits.end()) - logits.begin() == target;
  double logit = soft == nullptr ? logits[place] : 0;  // the expected one
  for (std::size_t i = 0; soft != nullptr && i < logits.size(); ++i) logit += soft[i] * logits[i];
  const double loss = softmax(logits.data(), classes) - logit;
  if (soft == nullptr) logits[place] -= 1;
  for (std::size_t i = 0; soft != nullptr && i < logits.size(); ++i) logits[i] -= soft[i];
  return {loss, hit};
}

/// What the backward pass needs of the forward pass.
template <typename T>
struct CrossEntropyKept {
  Matrix<T> hidden;  ///< scored rows of x after dropout
  Matrix<T> logits;

  CrossEntropyKept(Workspace& memory, std::int64_t scored, std::int64_t width, std::int64_t outputs)
      : hidden(memory.matrix<T>(scored, width)), logits(memory.matrix<T>(scored, outputs)) {}
};

template <typename T>
struct CrossEntropyGradients {
  Matrix<T> hidden, logits;

  CrossEntropyGradients(Workspace& memory, std::int64_t scored, std::int64_t width,
                        std::int64_t outputs)
      : hidden(memory.matrix<T>(scored, width)), logits(memory.matrix<T>(scored, outputs)) {}
};

/// Names and positions of the scored rows.
struct ScoredRows {
  std::vector<RowName> names;
  std::vector<std::int32_t> positions;

  ScoredRows(Index index, const Segments& segments) {
    const std::vector<RowName> all = row_names(segments);
    for (std::int64_t i = 0; i < index.rows; ++i) {
      names.push_back(all.at(static_cast<std::size_t>(index.data[i])));
      positions.push_back(static_cast<std::int32_t>(names.back().position));
    }
  }
  Index position_index() const {
    return {positions.data(), static_cast<std::int64_t>(positions.size()), 1};
  }
};

/// The distribution of a target; null: all on it.
template <typename T>
const T* soft_row(const CrossEntropyHead& head, std::int32_t target) {
  return head.soft.data == nullptr ? nullptr : checked_row(typed<const T>(head.soft), target);
}

/// Calls body(row, first logit of the group, target, logits of the group).
template <typename T, typename Body>
void for_each_softmax(Matrix<const T> logits, Matrix<const std::int32_t> targets, int classes,
                      Body&& body) {
  std::vector<double> group;
  for (std::int64_t row = 0; row < targets.rows; ++row) {
    for (std::int64_t g = 0; g < targets.cols; ++g) {
      const T* first = logits[row] + g * classes;
      group.assign(first, first + classes);
      body(row, g * classes, targets[row][g], group);
    }
  }
}

template <typename T>
void cross_entropy_forward(T* loss, Input<T> x, Index index, Matrix<const std::int32_t> targets,
                           double scale, const CrossEntropyHead& head, const Segments& segments,
                           const Dropout& dropout, Workspace memory) {
  const CrossEntropyKept<T> kept(memory, index.rows, x.cols, head.weight.value.rows);
  const ScoredRows scored(index, segments);
  gather_rows(kept.hidden, x, index);
  dropout_rows(kept.hidden, dropout, scored.names);
  linear_forward(kept.logits, kept.hidden, typed<T>(head.weight.value), typed<T>(head.bias.value));
  if (head.site.value.data != nullptr) {
    add_rows(kept.logits, typed<T>(head.site.value), scored.position_index());
  }
  double sum = 0;
  std::vector<bool> hit(static_cast<std::size_t>(index.rows), true);
  for_each_softmax<T>(kept.logits, targets, head.classes,
                      [&](std::int64_t row, std::int64_t, std::int32_t target, auto& group) {
                        const CrossEntropy result =
                            softmax_cross_entropy(group, target, soft_row<T>(head, target));
                        sum += result.loss;
                        if (!result.hit) hit[static_cast<std::size_t>(row)] = false;
                      });
  loss[0] = static_cast<T>(scale * sum);
  loss[1] = static_cast<T>(std::count(hit.begin(), hit.end(), true));
}

template <typename T>
void cross_entropy_backward(Matrix<T> dx, bool accumulate, double dloss, Input<T> x, Index index,
                            Matrix<const std::int32_t> targets, double scale,
                            const CrossEntropyHead& head, const Segments& segments,
                            const Dropout& dropout, Workspace memory, Workspace scratch) {
  const std::int64_t outputs = head.weight.value.rows;
  const CrossEntropyKept<T> kept(memory, index.rows, x.cols, outputs);
  const CrossEntropyGradients<T> d(scratch, index.rows, x.cols, outputs);
  const ScoredRows scored(index, segments);
  for_each_softmax<T>(kept.logits, targets, head.classes,
                      [&](std::int64_t row, std::int64_t first, std::int32_t target, auto& group) {
                        softmax_cross_entropy(group, target, soft_row<T>(head, target));
                        for (std::size_t i = 0; i < group.size(); ++i) {
                          d.logits[row][first + static_cast<std::int64_t>(i)] =
                              static_cast<T>(dloss * scale * group[i]);
                        }
                      });
  linear_backward_parameters(typed<T>(head.weight.gradient), typed<T>(head.bias.gradient), d.logits,
                             kept.hidden);
  if (head.site.gradient.data != nullptr) {
    add_to_rows(typed<T>(head.site.gradient), d.logits, scored.position_index());
  }
  if (dx.data == nullptr) return;
  linear_backward_input(d.hidden, false, d.logits, typed<T>(head.weight.value));
  dropout_rows(d.hidden, dropout, scored.names);
  gather_rows_backward(dx, accumulate, d.hidden, index);
}

}  // namespace barcodemae::reference
