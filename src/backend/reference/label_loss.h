// SPDX-License-Identifier: MIT
// Losses of pooled vectors and their labels: small, in double, and the same for every CPU backend.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "backend/reference/matrix.h"
#include "tensor/backend.h"

namespace barcodemae::reference {

/// What the kernels compute with.
struct LabelLossWork {
  Matrix<double> units;         ///< [N, H]: the vectors, divided by their lengths
  Matrix<double> cosines;       ///< [N, N]
  Matrix<double> dcosines;      ///< [N, N]: of row i as the anchor
  Matrix<double> lengths, row;  ///< [1, N], [1, H]

  LabelLossWork(Workspace& memory, std::int64_t count, std::int64_t width)
      : units(memory.matrix<double>(count, width)),
        cosines(memory.matrix<double>(count, count)),
        dcosines(memory.matrix<double>(count, count)),
        lengths(memory.matrix<double>(1, count)),
        row(memory.matrix<double>(1, width)) {}
};

/// a may be compared with the anchor i at all, and has its label.
inline bool is_candidate(const std::int32_t* labels, const std::int32_t* groups, std::int64_t i,
                         std::int64_t a) {
  if (a == i || labels[a] < 0) return false;
  return groups == nullptr || groups[a] < 0 || groups[a] != groups[i];
}

struct LabelLossSums {
  double loss = 0;  ///< over the anchors
  std::int64_t hits = 0;
};

/// Cosines and, in work.dcosines, the derivatives of the sum of all anchors' losses.
template <typename T>
LabelLossSums label_loss(const LabelLossWork& work, Input<T> x, const std::int32_t* labels,
                         const std::int32_t* groups, const LabelLoss& options) {
  const std::int64_t count = x.rows;
  for (std::int64_t i = 0; i < count; ++i) {
    double squares = 0;
    for (std::int64_t c = 0; c < x.cols; ++c) squares += double{x[i][c]} * x[i][c];
    const double length = std::sqrt(squares);
    work.lengths.data[i] = length;
    for (std::int64_t c = 0; c < x.cols; ++c) work.units[i][c] = length > 0 ? x[i][c] / length : 0;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t j = i; j < count; ++j) {
      double sum = 0;
      for (std::int64_t c = 0; c < x.cols; ++c) sum += work.units[i][c] * work.units[j][c];
      work.cosines[i][j] = work.cosines[j][i] = sum;
    }
  }
  LabelLossSums sums;
  for (std::int64_t i = 0; i < count; ++i) {
    const double* cosine = work.cosines[i];
    double* d = work.dcosines[i];
    std::fill_n(d, count, 0.0);
    if (labels[i] < 0) continue;
    // The farthest of its label and the nearest of another; the nearest of all.
    std::int64_t positive = -1, negative = -1, nearest = -1, positives = 0;
    for (std::int64_t a = 0; a < count; ++a) {
      if (!is_candidate(labels, groups, i, a)) continue;
      if (nearest < 0 || cosine[a] > cosine[nearest]) nearest = a;
      if (labels[a] == labels[i]) {
        ++positives;
        if (positive < 0 || cosine[a] < cosine[positive]) positive = a;
      } else if (negative < 0 || cosine[a] > cosine[negative]) {
        negative = a;
      }
    }
    if (positive < 0 || negative < 0) continue;
    if (labels[nearest] == labels[i]) ++sums.hits;
    if (options.kind == LabelLoss::Kind::kTriplet) {
      const double violation = cosine[negative] - cosine[positive] + options.margin;
      sums.loss += std::max(violation, 0.0) + std::log1p(std::exp(-std::abs(violation)));
      const double slope = 1 / (1 + std::exp(-violation));
      d[negative] += slope;
      d[positive] -= slope;
      continue;
    }
    const double largest = cosine[nearest];
    double sum = 0, of_positives = 0;
    for (std::int64_t a = 0; a < count; ++a) {
      if (!is_candidate(labels, groups, i, a)) continue;
      sum += std::exp((cosine[a] - largest) / options.temperature);
      if (labels[a] == labels[i]) of_positives += (cosine[a] - largest) / options.temperature;
    }
    sums.loss += std::log(sum) - of_positives / static_cast<double>(positives);
    for (std::int64_t a = 0; a < count; ++a) {
      if (!is_candidate(labels, groups, i, a)) continue;
      d[a] = std::exp((cosine[a] - largest) / options.temperature) / sum;
      if (labels[a] == labels[i]) d[a] -= 1 / static_cast<double>(positives);
      d[a] /= options.temperature;
    }
  }
  return sums;
}

inline KernelMemory label_loss_memory(std::int64_t count, std::int64_t width) {
  Workspace memory;
  LabelLossWork(memory, count, width);
  return {.saved = 0, .forward_scratch = memory.used(), .backward_scratch = memory.used()};
}

template <typename T>
void label_loss_forward(View loss, View x, View labels, View groups, double scale,
                        const LabelLoss& options, Bytes scratch) {
  Workspace memory(scratch);
  const LabelLossWork work(memory, x.rows, x.cols);
  const LabelLossSums sums =
      label_loss<T>(work, typed<T>(x), typed<const std::int32_t>(labels).data,
                    typed<const std::int32_t>(groups).data, options);
  typed<T>(loss).data[0] = static_cast<T>(scale * sums.loss);
  typed<T>(loss).data[1] = static_cast<T>(sums.hits);
}

/// The cosines are computed again: they are cheaper than what a batch keeps for its backward pass.
template <typename T>
void label_loss_backward(View dx_view, bool accumulate, double factor, View x_view, View labels,
                         View groups, const LabelLoss& options, Bytes scratch) {
  if (dx_view.data == nullptr) return;
  Workspace memory(scratch);
  const auto dx = typed<T>(dx_view);
  const auto x = typed<T>(x_view);
  const LabelLossWork work(memory, x.rows, x.cols);
  label_loss<T>(work, x, typed<const std::int32_t>(labels).data,
                typed<const std::int32_t>(groups).data, options);
  for (std::int64_t i = 0; i < x.rows; ++i) {
    double* du = work.row.data;
    std::fill_n(du, x.cols, 0.0);
    for (std::int64_t j = 0; j < x.rows; ++j) {
      const double slope = work.dcosines[i][j] + work.dcosines[j][i];
      if (slope == 0) continue;
      for (std::int64_t c = 0; c < x.cols; ++c) du[c] += slope * work.units[j][c];
    }
    // Only what is across the vector turns it.
    double along = 0;
    for (std::int64_t c = 0; c < x.cols; ++c) along += du[c] * work.units[i][c];
    const double length = work.lengths.data[i];
    for (std::int64_t c = 0; c < x.cols; ++c) {
      const double gradient =
          length > 0 ? factor * (du[c] - along * work.units[i][c]) / length : 0.0;
      dx[i][c] = static_cast<T>(gradient + (accumulate ? dx[i][c] : T{0}));
    }
  }
}

inline KernelMemory pair_loss_memory(const PairClassifier& classifier) {
  Workspace memory;
  memory.matrix<double>(1, classifier.in_weight.value.rows);
  return {.saved = 0, .forward_scratch = memory.used(), .backward_scratch = memory.used()};
}

/// The hidden layer of one pair; returns its logit.
template <typename T>
double pair_logit(double* hidden, const T* first, const T* second, std::int64_t width,
                  const PairClassifier& classifier) {
  const auto in_weight = typed<T>(classifier.in_weight.value);
  const auto* in_bias = typed<T>(classifier.in_bias.value).data;
  const auto* out_weight = typed<T>(classifier.out_weight.value).data;
  double logit = typed<T>(classifier.out_bias.value).data[0];
  for (std::int64_t h = 0; h < in_weight.rows; ++h) {
    double sum = in_bias[h];
    for (std::int64_t c = 0; c < width; ++c) sum += double{in_weight[h][c]} * first[c];
    for (std::int64_t c = 0; c < width; ++c) sum += double{in_weight[h][width + c]} * second[c];
    hidden[h] = std::max(sum, 0.0);
    logit += hidden[h] * out_weight[h];
  }
  return logit;
}

template <typename T>
void pair_loss_forward(T* loss, Input<T> x, Matrix<const std::int32_t> pairs, double scale,
                       const PairClassifier& classifier, Workspace memory) {
  double* hidden = memory.matrix<double>(1, classifier.in_weight.value.rows).data;
  double sum = 0;
  std::int64_t hits = 0;
  for (std::int64_t p = 0; p < pairs.rows; ++p) {
    const bool same = pairs[p][2] != 0;
    const double logit = pair_logit(hidden, x[pairs[p][0]], x[pairs[p][1]], x.cols, classifier);
    const double wrong = same ? -logit : logit;
    sum += std::max(wrong, 0.0) + std::log1p(std::exp(-std::abs(wrong)));
    if (wrong < 0) ++hits;
  }
  loss[0] = static_cast<T>(scale * sum);
  loss[1] = static_cast<T>(hits);
}

template <typename T>
void pair_loss_backward(Matrix<T> dx, bool accumulate, double factor, Input<T> x,
                        Matrix<const std::int32_t> pairs, const PairClassifier& classifier,
                        Workspace memory) {
  const std::int64_t inner = classifier.in_weight.value.rows, width = x.cols;
  double* hidden = memory.matrix<double>(1, inner).data;
  const auto in_weight = typed<T>(classifier.in_weight.value);
  const auto in_gradient = typed<T>(classifier.in_weight.gradient);
  const auto bias_gradient = typed<T>(classifier.in_bias.gradient);
  const auto* out_weight = typed<T>(classifier.out_weight.value).data;
  const auto out_gradient = typed<T>(classifier.out_weight.gradient);
  const auto out_bias_gradient = typed<T>(classifier.out_bias.gradient);
  if (dx.data != nullptr && !accumulate) std::fill_n(dx.data, dx.size(), T{0});
  double slopes = 0;
  for (std::int64_t p = 0; p < pairs.rows; ++p) {
    const std::int64_t first = pairs[p][0], second = pairs[p][1];
    const double logit = pair_logit(hidden, x[first], x[second], width, classifier);
    const double slope = factor * (1 / (1 + std::exp(-logit)) - (pairs[p][2] != 0 ? 1 : 0));
    slopes += slope;
    for (std::int64_t h = 0; h < inner; ++h) {
      if (out_gradient.data != nullptr) out_gradient.data[h] += static_cast<T>(slope * hidden[h]);
      if (hidden[h] <= 0) continue;
      const double d = slope * out_weight[h];
      if (bias_gradient.data != nullptr) bias_gradient.data[h] += static_cast<T>(d);
      for (std::int64_t c = 0; c < width; ++c) {
        if (in_gradient.data != nullptr) {
          in_gradient[h][c] += static_cast<T>(d * x[first][c]);
          in_gradient[h][width + c] += static_cast<T>(d * x[second][c]);
        }
        if (dx.data == nullptr) continue;
        dx[first][c] += static_cast<T>(d * in_weight[h][c]);
        dx[second][c] += static_cast<T>(d * in_weight[h][width + c]);
      }
    }
  }
  if (out_bias_gradient.data != nullptr) {
    out_bias_gradient.data[0] = static_cast<T>(out_bias_gradient.data[0] + slopes);
  }
}

}  // namespace barcodemae::reference
