// SPDX-License-Identifier: MIT
#include "analysis/softmax_answers.h"

#include <algorithm>
#include <cmath>

#include "analysis/sgemm.h"
#include "base/error.h"
#include "base/one_openmp_thread.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

// Fixed pieces, whatever the number of threads.
constexpr std::int64_t kAnsweredRows = 128, kAnsweredClasses = 256;

/// Largest logit and log Σ exp of a row, class after class.
struct RunningSoftmax {
  float largest = -INFINITY;
  double sum = 0;
  std::int32_t answer = 0;

  void add(float logit, std::int32_t which) {
    if (logit > largest) {
      sum = sum * std::exp(double{largest} - double{logit}) + 1;
      largest = logit;
      answer = which;
    } else {
      sum += std::exp(double{logit} - double{largest});
    }
  }
  double log_sum() const { return double{largest} + std::log(sum); }
};

}  // namespace

SoftmaxAnswers answer(const ClassifierHead& head, const Matrix& vectors,
                      std::span<const std::int32_t> targets) {
  const std::int64_t width = head.weights.cols, classes = head.weights.rows;
  BARCODEMAE_CHECK(vectors.cols == width && classes > 0 &&
                       static_cast<std::int64_t>(targets.size()) == vectors.rows,
                   "{} x {} vectors, {} targets, {} x {} weights", vectors.rows, vectors.cols,
                   targets.size(), classes, width);
  SoftmaxAnswers answers;
  answers.classes.resize(targets.size());
  answers.losses.resize(targets.size());
  parallel_for((vectors.rows + kAnsweredRows - 1) / kAnsweredRows, [&](std::int64_t block, int) {
    const OneOpenMpThread one_thread;
    const std::int64_t begin = block * kAnsweredRows,
                       rows = std::min(kAnsweredRows, vectors.rows - begin);
    std::vector<RunningSoftmax> softmax(static_cast<std::size_t>(rows));
    std::vector<double> target_logits(static_cast<std::size_t>(rows), 0.0);
    std::vector<float> logits(static_cast<std::size_t>(rows * kAnsweredClasses));
    for (std::int64_t first = 0; first < classes; first += kAnsweredClasses) {
      const std::int64_t count = std::min(kAnsweredClasses, classes - first);
      sgemm('N', 'T', rows, count, width, vectors.values.data() + begin * width, width,
            head.weights.values.data() + first * width, width, logits.data(), count);
      for (std::int64_t row = 0; row < rows; ++row) {
        const auto r = static_cast<std::size_t>(row);
        const std::int32_t target = targets[static_cast<std::size_t>(begin + row)];
        for (std::int64_t c = 0; c < count; ++c) {
          const auto which = static_cast<std::int32_t>(first + c);
          const float logit = logits[static_cast<std::size_t>(row * count + c)] +
                              head.bias[static_cast<std::size_t>(which)];
          softmax[r].add(logit, which);
          if (which == target) target_logits[r] = logit;
        }
      }
    }
    for (std::int64_t row = 0; row < rows; ++row) {
      const auto r = static_cast<std::size_t>(row), n = static_cast<std::size_t>(begin + row);
      answers.classes[n] = softmax[r].answer;
      answers.losses[n] = targets[n] < 0 ? 0.0 : softmax[r].log_sum() - target_logits[r];
    }
  });
  return answers;
}

}  // namespace barcodemae
