// SPDX-License-Identifier: MIT
// A linear classifier on frozen features: softmax regression by minibatches.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "analysis/nearest.h"

namespace barcodemae {

/// Vectors and their labels, in step. Labels are numbers ≥ 0, −1 = missing.
struct LabelledRows {
  RowSource vectors;
  std::span<const std::int32_t> labels;
};

struct LinearProbeOptions {
  enum class Optimiser {
    kAdamW,  ///< β 0.9 and 0.999, ε 1e-8
    kSgd,    ///< with momentum, as PyTorch has it: v = μ v + g, w −= η v
  };
  enum class Scaling {
    kPerFeature,  ///< (x − mean) / standard deviation of each feature over the training rows
    kGlobal,      ///< the same with one mean and one standard deviation for all features
  };
  enum class Start {
    kFromZero,
    kUniformRandom,  ///< U(±1/√features), bias too: what PyTorch's nn.Linear begins with
  };
  Optimiser optimiser = Optimiser::kAdamW;
  Scaling scaling = Scaling::kPerFeature;
  Start start = Start::kFromZero;
  double learning_rate = 1e-3;
  double weight_decay = 1e-2;  ///< AdamW: decoupled; SGD: added to the gradient. Of the bias too
  double momentum = 0.95;      ///< of kSgd
  int batch = 0;  ///< rows of a step; 0: 1,024, or fewer where an epoch would have too few steps
  int epochs = 30;
  /// Ends after so many epochs, of 64 steps together at least, without a better accuracy on the
  /// validation rows, and keeps the best epoch's weights; 0: always runs to the end and keeps the
  /// last.
  int patience = 3;
  std::uint64_t seed = 1;  ///< of the order of rows and of kUniformRandom

  /// `batch`, or the one chosen for so many training rows.
  int batch_for(std::int64_t rows) const;
};

/// One epoch of training.
struct ProbeEpoch {
  double loss = 0;                 ///< mean cross entropy of the training rows as they came, nats
  double validation_accuracy = 0;  ///< 0 without labelled validation rows
};

/// Trained weights and the scaling before them.
class LinearProbe {
 public:
  /// Trains on the labelled rows of `train`, whose labels become the classes, and watches those of
  /// `validation`. The result is the same for any number of threads. Progress is shown under
  /// `title` unless it is empty. Needs one labelled training row.
  static LinearProbe train(const LabelledRows& train, const LabelledRows& validation,
                           const LinearProbeOptions& options, const std::string& title = {});

  /// The label of each row: that of the largest logit, of equal ones the smallest label.
  std::vector<std::int32_t> predict(const RowSource& vectors) const;
  /// Share of the labelled rows whose label is predicted; 0 when there are none.
  double accuracy(const LabelledRows& rows) const;

  const std::vector<std::int32_t>& classes() const { return classes_; }  ///< ascending
  /// [classes, features + 1]; the last column is the bias. Of scaled features.
  std::span<const float> weights() const { return weights_; }
  /// The same classifier of features as they come: weights [classes, features], bias [classes].
  std::pair<Matrix, std::vector<float>> unscaled() const;
  const std::vector<ProbeEpoch>& epochs() const { return epochs_; }
  /// 1 = the first.
  int best_epoch() const { return best_epoch_; }
  /// Of the epoch whose weights were kept.
  double validation_accuracy() const {
    return epochs_[static_cast<std::size_t>(best_epoch_ - 1)].validation_accuracy;
  }

 private:
  struct Scale {
    float mean = 0, factor = 1;
  };
  class Trainer;
  static std::vector<Scale> fit_scale(const RowSource& vectors,
                                      const std::vector<std::int64_t>& rows,
                                      LinearProbeOptions::Scaling scaling);
  /// Scaled features and a 1 for the bias.
  void read(const RowSource& vectors, std::int64_t row, std::span<float> out) const;

  std::vector<std::int32_t> classes_;
  std::vector<Scale> scale_;  // of each feature
  std::vector<float> weights_;
  std::vector<ProbeEpoch> epochs_;
  int best_epoch_ = 0;
};

}  // namespace barcodemae
