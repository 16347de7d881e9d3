// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"
#include "train/pretrain_options.h"
#include "train/training_data.h"

namespace barcodemae {

/// The targets of one auxiliary loss for the records of a micro-batch.
LabelTargets label_targets(const TrainingData& data, const AuxiliaryLoss& loss,
                           std::span<const std::int64_t> records, std::uint64_t seed,
                           std::uint32_t step);

/// Draws the barcodes with which balanced batches begin: classes uniformly, members of different
/// species where there are enough.
class BalancedSampler {
 public:
  /// Classes that have two barcodes (of two species, for a loss that leaves the own one out).
  /// Throws UserError when there are fewer than options.balanced_classes.
  BalancedSampler(const TrainingData& data, const PretrainOptions& options);
  /// balanced_classes · balanced_members records or, where classes are small, fewer; without
  /// repeats. Depends on (seed, step) alone.
  std::vector<std::int64_t> draw(std::uint32_t step) const;

 private:
  std::vector<std::int64_t> draw_members(const std::vector<std::int64_t>& records,
                                         RandomSequence& random) const;

  const TrainingData& data_;
  const PretrainOptions& options_;
  std::vector<std::vector<std::int64_t>> classes_;  // records of each
};

}  // namespace barcodemae
