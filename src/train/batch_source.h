// SPDX-License-Identifier: MIT
// The barcodes of each optimiser step, tokenised, masked and packed.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <optional>
#include <span>
#include <vector>

#include "communication/collectives.h"
#include "communication/communicator.h"
#include "data/batch.h"
#include "data/packing.h"
#include "nn/objective.h"
#include "train/balanced_batches.h"
#include "train/pretrain_options.h"
#include "train/training_data.h"

namespace barcodemae {

/// A part of a batch that is in memory at a time.
struct MicroBatch {
  PackedBatch batch;
  MaskingPlan plan;
};

/// Everything one optimiser step computes on: this process's part of it.
struct TrainingStep {
  std::vector<MicroBatch> pieces;
  GlobalCounts counts;         ///< over the pieces of all processes: the denominators of the losses
  double site_loss = 0;        ///< of the masked tokens by site frequencies, summed likewise, nats
  double auxiliary_scale = 0;  ///< multiplies the weights of the auxiliary losses; 0 in validation
};

/// Cuts records into micro-batches and masks them; `step` and `offsets` name the random numbers.
/// Counts are those of these records alone.
TrainingStep make_step(const TrainingData& data, const PretrainOptions& options,
                       const MaskingRules& rules, std::span<const std::int64_t> records,
                       const FrameOffsets& offsets, std::uint32_t step);

/// Replaces counts and site loss by their sums over all processes. Collective.
void add_up_counts(TrainingStep& step, Communicator& communicator);

/// Hands out the steps in turn, each prepared in the background while the one before it computes.
/// Epochs are permutations; the ⌊N / batch⌋ whole batches of each are used. Balanced batches begin
/// with a draw of their own in place of their first records. A step's content
/// depends on (seed, step) alone, so that any step can be the first. Each process prepares a
/// contiguous share of the batch.
class BatchSource {
 public:
  /// Tokenises and packs this process's records of a step. Called by one thread at a time.
  using Prepare =
      std::function<TrainingStep(std::int64_t step, std::span<const std::int64_t> records)>;

  /// Batches of `records`, at least `batch` of them, which must outlive this object.
  BatchSource(std::span<const std::int64_t> records, std::int64_t batch, std::uint64_t seed,
              Communicator& communicator, Prepare prepare);
  /// Of a pretraining. `total_steps` 0: not known yet; the mask ratio stays at its first value.
  BatchSource(const TrainingData& data, const PretrainOptions& options, Communicator& communicator,
              std::int64_t total_steps = 0);
  ~BatchSource();

  /// Throws UserError when the records do not fill one batch.
  static std::int64_t steps_per_epoch(std::int64_t records, std::int64_t batch);
  static std::int64_t steps_per_epoch(const TrainingData& data, const PretrainOptions& options) {
    return steps_per_epoch(static_cast<std::int64_t>(data.records.training.size()), options.batch);
  }

  /// The content of `step`; preparation of the next one begins unless `last`. Collective.
  TrainingStep take(std::int64_t step, bool last);

 private:
  TrainingStep prepare(std::int64_t step);
  std::vector<std::int64_t> records_of(std::int64_t step);

  std::span<const std::int64_t> records_;
  std::int64_t batch_;
  std::uint64_t seed_;
  Communicator& communicator_;
  Prepare prepare_;
  Share share_;  // of every batch
  std::int64_t steps_per_epoch_;
  std::optional<BalancedSampler> balanced_;
  std::int64_t epoch_ = -1;          // of order_
  std::vector<std::int64_t> order_;  // used by one preparation at a time
  std::int64_t next_step_ = -1;      // what next_ prepares
  std::future<TrainingStep> next_;
};

}  // namespace barcodemae
