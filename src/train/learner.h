// SPDX-License-Identifier: MIT
// The model in training: parameters, memory, one optimiser step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "communication/communicator.h"
#include "nn/memory_plan.h"
#include "nn/objective.h"
#include "tensor/arena.h"
#include "tensor/backend.h"
#include "tensor/context.h"
#include "tensor/parameters.h"
#include "train/batch_source.h"
#include "train/gradient_sum.h"
#include "train/pretrain_options.h"
#include "train/schedule.h"

namespace barcodemae {

/// Bytes a training needs, planned before its first step.
struct MemoryPlan {
  std::size_t weights = 0, gradients = 0, moments = 0;
  std::size_t compute_copies = 0;  ///< what is kept beside the weights, at most
  std::size_t activations = 0;     ///< of the worst micro-batch, forward and backward
  std::size_t checkpoint = 0;      ///< one of weights and moments at a time, on its way to a file
  std::size_t total() const {
    return weights + gradients + moments + compute_copies + activations + checkpoint;
  }
};

/// Losses of a batch, or of a part of it, downloaded. Means over the whole batch, nats.
struct BatchLosses {
  double masked = 0, visible = 0;  ///< of the tokens to predict; of the others, 0 when not scored
  double masked_hits = 0;          ///< tokens to predict whose largest logit is right
  std::vector<double> auxiliary = {}, auxiliary_hits = {};  ///< of each auxiliary loss
};

/// One optimiser step's outcome, the same in all processes of the job.
struct StepOutcome {
  BatchLosses losses;
  double gradient_norm = 0;  ///< before clipping
  bool applied = false;      ///< false: loss or gradient not finite, nothing was changed
};

/// What the arithmetic of the steps depends on, beside the model.
struct LearnerOptions {
  std::uint64_t seed = 1;         ///< of dropout
  std::int64_t micro_batch = 32;  ///< barcodes in memory at a time
  double masked_weight = 1;
  MaskedShares masked;  ///< how much is masked, for the memory plan
  double beta2 = 0.999, epsilon = 1e-8, weight_decay = 1e-5;
  double clip = 0;  ///< largest gradient norm; 0: no clipping
};
LearnerOptions learner_options(const PretrainOptions& options);

class Learner {
 public:
  /// Declares what is trained.
  using MakeObjective = std::function<std::unique_ptr<Objective>(Parameters&)>;

  /// Plans, prints the plan, and takes memory. Throws UserError with the number of bytes, and the
  /// --micro-batch that would do, when there is not enough for all processes on this machine.
  Learner(const LearnerOptions& options, const MakeObjective& make, Backend& backend,
          DType activation, int max_tokens, Communicator& communicator);
  /// Of the model that the options describe.
  Learner(const PretrainOptions& options, Backend& backend, DType activation, int max_tokens,
          Communicator& communicator);

  /// First weights; moments 0.
  void initialise(const std::vector<float>& site_log_frequencies);
  /// To be called after the parameters were changed from outside (a checkpoint).
  void refresh();

  /// Forward and backward over this process's pieces, the sum over all processes, then AdamW, which
  /// does the same everywhere. `updates`: steps applied before this one.
  StepOutcome step(const TrainingStep& content, std::int64_t number, const Schedule::Point& point,
                   std::int64_t updates);
  /// Forward only, without dropout. `counts`: of all pieces together.
  BatchLosses evaluate(const MicroBatch& piece, const GlobalCounts& counts);

  Parameters& parameters() { return parameters_; }
  const Objective& model() const { return *model_; }
  Objective& model() { return *model_; }
  Backend& backend() { return backend_; }
  DType activation() const { return activation_; }
  const MemoryPlan& plan() const { return plan_; }
  const GradientSum& gradient_sum() const { return gradient_sum_; }

 private:
  BatchLosses run_piece(const MicroBatch& piece, const GlobalCounts& counts,
                        const LossWeights& weights, Tape* tape, std::int64_t number, bool last);
  void reserve_memory(int max_tokens);

  const LearnerOptions options_;
  Backend& backend_;
  Communicator& communicator_;
  DType activation_;
  Parameters parameters_;
  std::unique_ptr<Objective> model_;
  GradientSum gradient_sum_;
  Arena arena_;
  MemoryPlan plan_;
};

}  // namespace barcodemae
