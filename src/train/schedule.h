// SPDX-License-Identifier: MIT
// Learning rate and β₁ over the steps of a training.
#pragma once

#include <cstdint>

namespace barcodemae {

enum class ScheduleKind {
  kOneCycle,  ///< the paper: up by a cosine, down by a cosine, β₁ the other way round
  kCosine,    ///< linear warm-up, then down to 0 by a cosine
  kConstant,  ///< linear warm-up, then the peak rate
};

struct ScheduleConfig {
  ScheduleKind kind = ScheduleKind::kOneCycle;
  double peak = 1e-4;               ///< highest learning rate
  double warmup = 0.3;              ///< share of the steps that go up, 0 … 1
  double beta1 = 0.9;               ///< of cosine and constant
  double cycle_start_divisor = 25;  ///< OneCycle begins at peak / this …
  double cycle_end_divisor = 1e4;   ///< … and ends at its beginning / this
  double cycle_beta1_high = 0.95;   ///< β₁ at the lowest learning rates
  double cycle_beta1_low = 0.85;    ///< β₁ at the peak
};

class Schedule {
 public:
  struct Point {
    double learning_rate = 0;
    double beta1 = 0;
  };

  /// `steps`: length of the whole training, at least 1.
  Schedule(const ScheduleConfig& config, std::int64_t steps);

  /// Values for step 0 … steps − 1. OneCycle (Smith and Topin, 2019) gives what PyTorch's
  /// OneCycleLR gives with `anneal_strategy="cos"` and two phases: the peak lies at warmup · steps
  /// − 1.
  Point at(std::int64_t step) const;

 private:
  Point one_cycle(std::int64_t step) const;

  ScheduleConfig config_;
  double steps_;
};

}  // namespace barcodemae
