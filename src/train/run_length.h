// SPDX-License-Identifier: MIT
// How many steps a run has and how often it looks up from them: fixed before the first step.
#pragma once

#include <cstdint>

#include "communication/communicator.h"
#include "formats/model_directory.h"
#include "train/learner.h"
#include "train/pretrain_options.h"
#include "train/training_data.h"

namespace barcodemae {

/// Of a run: a step is a 32-bit counter of the randomness.
inline constexpr std::int64_t kMostSteps = 4'000'000'000;

/// Of --steps, or of --epochs: epochs · ⌊N / batch⌋, at least one.
std::int64_t steps_asked_for(const PretrainOptions& options, std::int64_t steps_per_epoch);

/// Steps between validations: --validate-every, or so that there are at most 20 of them (and those
/// before the first and after the last step) and they cost at most a tenth of the arithmetic.
std::int64_t validation_interval(const PretrainOptions& options, const RecordSelection& records,
                                 std::int64_t total_steps);

/// Steps between lines of metrics.jsonl: --log-every, or about 500 lines.
std::int64_t log_interval(const PretrainOptions& options, std::int64_t total_steps);

/// The most steps that, with their validations, fit into `seconds` at these measured costs.
std::int64_t steps_within(double seconds, double seconds_per_step, double seconds_per_validation,
                          const PretrainOptions& options, const RecordSelection& records);

/// Operations (nn/flops.h) of one step of all processes, a mean over 20 steps; the mask ratios of
/// these cover the whole training. Collective.
double flops_per_step(const TrainingData& data, const PretrainOptions& options,
                      Communicator& communicator);

/// For --petaflops: the most steps within that many operations, at least one. Collective.
std::int64_t steps_within_petaflops(const TrainingData& data, const PretrainOptions& options,
                                    Communicator& communicator);

/// For --minutes: runs steps and a validation whose results are thrown away (the learner must be
/// initialised again), and returns the number of steps that fit into `seconds` from now, by rank
/// 0's clock. Collective.
std::int64_t time_steps(double seconds, const TrainingData& data, const PretrainOptions& options,
                        Learner& learner, const ModelDescription& description,
                        Communicator& communicator);

}  // namespace barcodemae
