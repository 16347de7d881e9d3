// SPDX-License-Identifier: MIT
#include "analysis/linear_probe.h"

#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "analysis/adamw.h"
#include "analysis/sgemm.h"
#include "analysis/softmax_kernel.h"
#include "base/error.h"
#include "base/index.h"
#include "base/one_openmp_thread.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

// Fixed pieces, whatever the number of threads.
constexpr std::int64_t kClassBlock = 256;   // classes of one product
constexpr std::int64_t kRowBlock = 256;     // rows that one thread answers at a time
constexpr std::int64_t kRowPiece = 16;      // rows that one thread reads, or normalises, at a time
constexpr std::int64_t kScalePiece = 4096;  // rows of one partial sum

// Few rows would make so few steps an epoch that an end after some epochs came at the beginning.
constexpr std::int64_t kEpochSteps = 32, kSmallestBatch = 16, kLargestBatch = 1024;
constexpr std::int64_t kPatienceSteps = 64;

using Array = AdamW::Array;

std::int64_t pieces(std::int64_t count, std::int64_t piece) { return (count + piece - 1) / piece; }

std::vector<std::int64_t> labelled(std::span<const std::int32_t> labels) {
  std::vector<std::int64_t> rows;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    if (labels[row] >= 0) rows.push_back(static_cast<std::int64_t>(row));
  }
  return rows;
}

}  // namespace

/// The weights in training: a batch forward, its gradient block by block, each followed at once by
/// its step, so that the whole gradient never exists.
class LinearProbe::Trainer {
 public:
  Trainer(LinearProbe& probe, const LinearProbeOptions& options)
      : options_(options),
        classes_(static_cast<std::int64_t>(probe.classes_.size())),
        cols_(static_cast<std::int64_t>(probe.scale_.size()) + 1),
        stride_(pieces(classes_, kSoftmaxPadding) * kSoftmaxPadding),
        weights_(probe.weights_),
        first_moment_(weights_.size()),
        second_moment_(options.optimiser == LinearProbeOptions::Optimiser::kAdamW ? weights_.size()
                                                                                  : 0),
        gradients_(index(thread_count())) {}

  /// Mean loss of the batch [rows × cols], before the step.
  double step(const std::vector<float>& batch, const std::vector<std::int32_t>& targets) {
    const auto rows = static_cast<std::int64_t>(targets.size());
    const std::int64_t blocks = pieces(classes_, kClassBlock);
    if (logits_.rows() < rows) logits_.resize(rows, stride_);
    parallel_for(blocks, [&](std::int64_t block, int) {
      const OneOpenMpThread one_thread;
      const std::int64_t first = block * kClassBlock;
      sgemm('N', 'T', rows, std::min(kClassBlock, classes_ - first), cols_, batch.data(), cols_,
            weights_.data() + first * cols_, cols_, logits_.data() + first, stride_);
    });
    const double loss = to_logit_gradients(targets);
    ++steps_;
    parallel_for(blocks, [&](std::int64_t block, int thread) {
      const OneOpenMpThread one_thread;
      const std::int64_t first = block * kClassBlock;
      const std::int64_t count = std::min(kClassBlock, classes_ - first);
      std::vector<float>& gradient = gradients_[index(thread)];
      gradient.resize(index(kClassBlock * cols_));
      sgemm('T', 'N', count, cols_, rows, logits_.data() + first, stride_, batch.data(), cols_,
            gradient.data(), cols_);
      move(first * cols_, {gradient.data(), count * cols_});
    });
    return loss;
  }

 private:
  /// Logits to (softmax − one-hot) / rows, in place. Returns the mean cross entropy.
  double to_logit_gradients(const std::vector<std::int32_t>& targets) {
    const auto rows = static_cast<std::int64_t>(targets.size());
    const double share = 1 / static_cast<double>(rows);
    std::vector<double> losses(index(rows));
    parallel_for(pieces(rows, kRowPiece), [&](std::int64_t piece, int) {
      for (std::int64_t row = piece * kRowPiece; row < std::min(rows, (piece + 1) * kRowPiece);
           ++row) {
        float* logits = logits_.data() + row * stride_;
        std::fill(logits + classes_, logits + stride_, -INFINITY);
        float& target = logits[targets[index(row)]];
        const double target_logit = target;
        losses[index(row)] = scaled_softmax(logits, stride_, share) - target_logit;
        target -= static_cast<float>(share);
      }
    });
    return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(rows);
  }

  /// One optimiser step of the weights from `begin` on.
  void move(std::int64_t begin, const Array& gradient) {
    const auto rate = static_cast<float>(options_.learning_rate);
    const auto decay = static_cast<float>(options_.weight_decay);
    Array weights(weights_.data() + begin, gradient.size());
    Array first(first_moment_.data() + begin, gradient.size());
    if (options_.optimiser == LinearProbeOptions::Optimiser::kSgd) {
      first = static_cast<float>(options_.momentum) * first + (gradient + decay * weights);
      weights -= rate * first;
      return;
    }
    const Array second(second_moment_.data() + begin, gradient.size());
    AdamW{.rate = rate, .decay = decay}.move(steps_, weights, gradient, first, second);
  }

  const LinearProbeOptions& options_;
  std::int64_t classes_, cols_, stride_;  // the last: of a row of the logits
  std::vector<float>& weights_;
  std::vector<float> first_moment_, second_moment_;
  Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> logits_;
  std::vector<std::vector<float>> gradients_;  // of each thread's block
  std::int64_t steps_ = 0;
};

std::vector<LinearProbe::Scale> LinearProbe::fit_scale(const RowSource& vectors,
                                                       const std::vector<std::int64_t>& rows,
                                                       LinearProbeOptions::Scaling scaling) {
  const auto features = index(vectors.cols);
  const auto count = static_cast<std::int64_t>(rows.size());
  // Twice: squares of what is left once the mean is gone lose no digits.
  const auto mean_of = [&](const std::vector<double>& centre, bool squared) {
    std::vector<std::vector<double>> partial(index(pieces(count, kScalePiece)),
                                             std::vector<double>(features));
    parallel_for(static_cast<std::int64_t>(partial.size()), [&](std::int64_t piece, int) {
      std::vector<float> row(features);
      std::vector<double>& sums = partial[index(piece)];
      for (std::int64_t i = piece * kScalePiece; i < std::min(count, (piece + 1) * kScalePiece);
           ++i) {
        vectors.fill(rows[index(i)], row);
        for (std::size_t f = 0; f < features; ++f) {
          const double value = row[f] - centre[f];
          sums[f] += squared ? value * value : value;
        }
      }
    });
    std::vector<double> mean(features);
    for (const std::vector<double>& sums : partial) {
      for (std::size_t f = 0; f < features; ++f) mean[f] += sums[f];
    }
    for (double& value : mean) value /= static_cast<double>(count);
    if (scaling == LinearProbeOptions::Scaling::kGlobal) {
      const double all =
          std::accumulate(mean.begin(), mean.end(), 0.0) / static_cast<double>(features);
      std::fill(mean.begin(), mean.end(), all);
    }
    return mean;
  };
  const std::vector<double> mean = mean_of(std::vector<double>(features), false);
  const std::vector<double> variance = mean_of(mean, true);
  std::vector<Scale> scale(features);
  for (std::size_t f = 0; f < features; ++f) {
    // A feature that never changes says nothing; it becomes 0.
    scale[f] = {static_cast<float>(mean[f]),
                variance[f] > 0 ? static_cast<float>(1 / std::sqrt(variance[f])) : 0.0f};
  }
  return scale;
}

void LinearProbe::read(const RowSource& vectors, std::int64_t row, std::span<float> out) const {
  vectors.fill(row, out.first(scale_.size()));
  for (std::size_t f = 0; f < scale_.size(); ++f) {
    out[f] = (out[f] - scale_[f].mean) * scale_[f].factor;
  }
  out[scale_.size()] = 1;
}

int LinearProbeOptions::batch_for(std::int64_t rows) const {
  if (batch > 0) return batch;
  return static_cast<int>(std::clamp(rows / kEpochSteps, kSmallestBatch, kLargestBatch));
}

LinearProbe LinearProbe::train(const LabelledRows& train, const LabelledRows& validation,
                               const LinearProbeOptions& options, const std::string& title) {
  BARCODEMAE_CHECK(options.batch >= 0 && options.epochs > 0, "{} epochs in batches of {}",
                   options.epochs, options.batch);
  BARCODEMAE_CHECK(
      train.vectors.rows == static_cast<std::int64_t>(train.labels.size()) &&
          validation.vectors.rows == static_cast<std::int64_t>(validation.labels.size()),
      "{} and {} vectors, {} and {} labels", train.vectors.rows, validation.vectors.rows,
      train.labels.size(), validation.labels.size());
  std::vector<std::int64_t> order = labelled(train.labels);
  BARCODEMAE_CHECK(!order.empty(), "no labelled row");
  const auto rows = static_cast<std::int64_t>(order.size());
  const int batch_rows = options.batch_for(rows);
  const std::int64_t epoch_steps = (rows + batch_rows - 1) / batch_rows;

  LinearProbe probe;
  for (const std::int64_t row : order) probe.classes_.push_back(train.labels[index(row)]);
  std::sort(probe.classes_.begin(), probe.classes_.end());
  probe.classes_.erase(std::unique(probe.classes_.begin(), probe.classes_.end()),
                       probe.classes_.end());
  probe.scale_ = fit_scale(train.vectors, order, options.scaling);
  const std::size_t cols = probe.scale_.size() + 1;
  probe.weights_.resize(probe.classes_.size() * cols);
  if (options.start == LinearProbeOptions::Start::kUniformRandom) {
    const double bound = 1 / std::sqrt(static_cast<double>(probe.scale_.size()));
    RandomSequence random(options.seed, Stream::kInitialisation);
    for (float& weight : probe.weights_) {
      weight = static_cast<float>(bound * (2 * random.uniform() - 1));
    }
  }

  Trainer trainer(probe, options);
  std::unique_ptr<Progress> progress;
  if (!title.empty()) progress = std::make_unique<Progress>(title, "rows", rows * options.epochs);
  std::vector<float> batch, best;
  std::vector<std::int32_t> targets;
  std::string note;
  for (int epoch = 0; epoch < options.epochs; ++epoch) {
    RandomSequence random(options.seed, Stream::kShuffle, static_cast<std::uint32_t>(epoch));
    for (std::size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
    }
    double loss = 0;
    for (std::int64_t begin = 0; begin < rows; begin += batch_rows) {
      const std::int64_t count = std::min<std::int64_t>(batch_rows, rows - begin);
      batch.resize(index(count) * cols);
      targets.resize(index(count));
      parallel_for(pieces(count, kRowPiece), [&](std::int64_t piece, int) {
        for (std::int64_t i = piece * kRowPiece; i < std::min(count, (piece + 1) * kRowPiece);
             ++i) {
          const std::int64_t row = order[index(begin + i)];
          probe.read(train.vectors, row, {batch.data() + index(i) * cols, cols});
          const auto place = std::lower_bound(probe.classes_.begin(), probe.classes_.end(),
                                              train.labels[index(row)]);
          targets[index(i)] = static_cast<std::int32_t>(place - probe.classes_.begin());
        }
      });
      loss += trainer.step(batch, targets) * static_cast<double>(count);
      if (progress) progress->update(epoch * rows + begin + count, note);
    }
    const ProbeEpoch now{loss / static_cast<double>(rows), probe.accuracy(validation)};
    probe.epochs_.push_back(now);
    const bool better =
        probe.best_epoch_ == 0 ||
        now.validation_accuracy > probe.epochs_[index(probe.best_epoch_ - 1)].validation_accuracy;
    if (options.patience == 0 || better) probe.best_epoch_ = epoch + 1;
    if (options.patience > 0 && better) best = probe.weights_;
    note = fmt::format("epoch {}: loss {:.3f}, validation {:.2f} %", epoch + 1, now.loss,
                       100 * now.validation_accuracy);
    const int waited = epoch + 1 - probe.best_epoch_;
    if (options.patience > 0 && waited >= options.patience &&
        waited * epoch_steps >= kPatienceSteps) {
      break;
    }
  }
  if (options.patience > 0) probe.weights_ = std::move(best);
  if (progress) progress->finish(note);
  return probe;
}

std::vector<std::int32_t> LinearProbe::predict(const RowSource& vectors) const {
  const auto features = static_cast<std::int64_t>(scale_.size());
  BARCODEMAE_CHECK(vectors.cols == features, "{} columns, {} features", vectors.cols, features);
  const std::int64_t cols = features + 1;
  const auto classes = static_cast<std::int64_t>(classes_.size());
  std::vector<std::int32_t> labels(index(vectors.rows), classes_.front());
  parallel_for(pieces(vectors.rows, kRowBlock), [&](std::int64_t row_block, int) {
    const OneOpenMpThread one_thread;
    const std::int64_t begin = row_block * kRowBlock;
    const std::int64_t rows = std::min(kRowBlock, vectors.rows - begin);
    std::vector<float> block(index(rows * cols)), logits(index(rows * kClassBlock));
    for (std::int64_t row = 0; row < rows; ++row) {
      read(vectors, begin + row, {block.data() + row * cols, index(cols)});
    }
    std::vector<float> largest(index(rows), -INFINITY);
    for (std::int64_t first = 0; first < classes; first += kClassBlock) {
      const std::int64_t count = std::min(kClassBlock, classes - first);
      sgemm('N', 'T', rows, count, cols, block.data(), cols, weights_.data() + first * cols, cols,
            logits.data(), count);
      for (std::int64_t row = 0; row < rows; ++row) {
        for (std::int64_t c = 0; c < count; ++c) {
          const float logit = logits[index(row * count + c)];
          if (logit <= largest[index(row)]) continue;
          largest[index(row)] = logit;
          labels[index(begin + row)] = classes_[index(first + c)];
        }
      }
    }
  });
  return labels;
}

std::pair<Matrix, std::vector<float>> LinearProbe::unscaled() const {
  // w · (x − m) s + b = (w s) · x + b − (w s) · m
  const std::size_t features = scale_.size(), classes = classes_.size();
  Matrix weights{static_cast<std::int64_t>(classes), static_cast<std::int64_t>(features), {}};
  std::vector<float> biases;
  for (std::size_t c = 0; c < classes; ++c) {
    const float* scaled = weights_.data() + c * (features + 1);
    double bias = scaled[features];
    for (std::size_t f = 0; f < features; ++f) {
      const float weight = scaled[f] * scale_[f].factor;
      bias -= double{weight} * scale_[f].mean;
      weights.values.push_back(weight);
    }
    biases.push_back(static_cast<float>(bias));
  }
  return {std::move(weights), std::move(biases)};
}

double LinearProbe::accuracy(const LabelledRows& rows) const {
  std::int64_t right = 0, all = 0;
  const std::vector<std::int32_t> predicted = predict(rows.vectors);
  for (std::size_t row = 0; row < predicted.size(); ++row) {
    if (rows.labels[row] < 0) continue;
    ++all;
    if (rows.labels[row] == predicted[row]) ++right;
  }
  return all == 0 ? 0.0 : static_cast<double>(right) / static_cast<double>(all);
}

}  // namespace barcodemae
