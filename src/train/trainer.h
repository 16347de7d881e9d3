// SPDX-License-Identifier: MIT
// The loop: steps, validations, records of both, checkpoints.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/progress.h"
#include "communication/communicator.h"
#include "train/checkpoint.h"
#include "train/learner.h"
#include "train/metrics_log.h"
#include "train/run_directory.h"
#include "train/schedule.h"
#include "train/training_state.h"
#include "train/training_task.h"

namespace barcodemae {

/// Asked between steps and within validations: true, in any process of the job, ends the sitting of
/// all after a checkpoint.
using StopRequest = std::function<bool(std::int64_t step)>;

/// Counts steps whose loss or gradients were not finite.
struct NonFiniteGuard {
  static constexpr std::int64_t kMostInARow = 10;
  /// Notes a step's outcome in `state`. Throws UserError, saying what to try, at the tenth in a
  /// row.
  static void note(TrainingState& state, bool applied);
};

/// How a training runs, whatever it trains.
struct LoopOptions {
  std::int64_t batch = 64;  ///< barcodes a step
  ScheduleConfig schedule;
  double checkpoint_minutes = 5;
  std::string fingerprint;  ///< run_fingerprint(): which checkpoints are this run's
};

class Trainer {
 public:
  /// Goes on from `directory`'s newest checkpoint when there is one, else from the task's first
  /// weights. All processes of a job make one; rank 0 alone has a `directory`, reads and writes.
  /// All but `options` must outlive this object.
  Trainer(const RunRecord& run, const RunDirectory* directory, LoopOptions options,
          Learner& learner, TrainingTask& task, Communicator& communicator);

  /// Trains to the end, until the task has enough, or until `stop`. True: done; best and last model
  /// are written.
  bool run(const StopRequest& stop);

  const TrainingState& state() const { return state_; }
  /// Of training and validation, over all sittings.
  double seconds() const;

 private:
  using Clock = std::chrono::steady_clock;

  /// False: there is none.
  bool load_checkpoint();
  bool validation_due() const;
  bool validate(const StopRequest& stop);
  void take_step();
  void note_step(const TrainingStep& content, const StepOutcome& outcome, double learning_rate);
  void write_interval(double learning_rate);
  void write_validation(const Validation& result, bool best);
  void require_same_weights();
  void save_checkpoint();
  void say_what_communication_cost(std::int64_t steps) const;

  const RunRecord& run_;
  const RunDirectory* directory_;
  const LoopOptions options_;
  Learner& learner_;
  TrainingTask& task_;
  Communicator& communicator_;
  Schedule schedule_;
  std::optional<CheckpointStore> checkpoints_;
  TrainingState state_;
  std::unique_ptr<MetricsLog> metrics_;
  std::unique_ptr<Progress> progress_;
  Clock::time_point sitting_began_, checkpointed_;
  double interval_began_ = 0;  ///< seconds(), for the rate of this sitting
  std::int64_t interval_barcodes_ = 0;
  double seconds_in_sums_ = 0, seconds_waited_ = 0;  ///< before this object
};

}  // namespace barcodemae
