// SPDX-License-Identifier: MIT
#include "train/run_length.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/log.h"
#include "communication/collectives.h"
#include "nn/flops.h"
#include "tokenizer/kmer_tokenizer.h"
#include "train/validation.h"

namespace barcodemae {
namespace {

constexpr std::int64_t kValidations = 20;
constexpr double kValidationShare = 0.1;
constexpr std::int64_t kLogLines = 500;

/// Of a barcode of full length.
std::int64_t most_tokens(const PretrainOptions& options) {
  if (!options.tokenizer.empty()) return options.model.max_positions;
  return KmerTokenizer(options.vocabulary(), options.stride, options.max_bases).max_tokens();
}

/// Arithmetic of a validation in optimiser steps, both on barcodes of full length.
double validation_cost_in_steps(const PretrainOptions& options, const RecordSelection& records) {
  const std::int64_t tokens = most_tokens(options);
  const auto masked = static_cast<std::int64_t>(options.mask_ratio * static_cast<double>(tokens));
  const auto flops = [&](double predict_share) {
    return training_flops(options.model, training_tokens(options.model, tokens, masked, masked,
                                                         options.masked_weight < 1, predict_share));
  };
  const double training = flops(options.predict_share);
  const double reconstruction = flops(1) / 3;  // forward only, of all that is masked
  const double embedding = embedding_flops(options.model, tokens);
  const auto count = [](const auto& list) { return static_cast<double>(list.size()); };
  const double embedded = records.queries.empty() ? count(records.validation)
                                                  : count(records.queries) + count(records.keys);
  return (count(records.validation) * reconstruction + embedded * embedding) /
         (static_cast<double>(options.batch) * training);
}

}  // namespace

std::int64_t steps_asked_for(const PretrainOptions& options, std::int64_t steps_per_epoch) {
  if (options.steps > 0) return options.steps;
  const double steps = std::floor(options.epochs * static_cast<double>(steps_per_epoch));
  return static_cast<std::int64_t>(std::clamp(steps, 1.0, static_cast<double>(kMostSteps)));
}

std::int64_t validation_interval(const PretrainOptions& options, const RecordSelection& records,
                                 std::int64_t total_steps) {
  if (options.validate_every > 0) return options.validate_every;
  const double cheap_enough = validation_cost_in_steps(options, records) / kValidationShare;
  const double few_enough = static_cast<double>(total_steps) / kValidations;
  const double interval = std::ceil(std::max({cheap_enough, few_enough, 1.0}));
  return static_cast<std::int64_t>(std::min(interval, static_cast<double>(total_steps)));
}

std::int64_t log_interval(const PretrainOptions& options, std::int64_t total_steps) {
  if (options.log_every > 0) return options.log_every;
  return std::max<std::int64_t>(1, total_steps / kLogLines);
}

std::int64_t steps_within(double seconds, double seconds_per_step, double seconds_per_validation,
                          const PretrainOptions& options, const RecordSelection& records) {
  const auto fits = [&](std::int64_t steps) {
    const std::int64_t every = validation_interval(options, records, steps);
    const std::int64_t validations = 1 + (steps + every - 1) / every;
    return static_cast<double>(steps) * seconds_per_step +
               static_cast<double>(validations) * seconds_per_validation <=
           seconds;
  };
  std::int64_t low = 1;  // taken even when it does not fit
  auto high = static_cast<std::int64_t>(
      std::min(seconds / seconds_per_step, static_cast<double>(kMostSteps)));
  while (low < high) {
    const std::int64_t middle = low + (high - low + 1) / 2;
    if (fits(middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

double flops_per_step(const TrainingData& data, const PretrainOptions& options,
                      Communicator& communicator) {
  constexpr std::int64_t kSample = 20;
  BatchSource source(data, options, communicator, kSample);
  double flops[] = {0};
  for (std::int64_t step = 0; step < kSample; ++step) {
    for (const MicroBatch& piece : source.take(step, step + 1 == kSample).pieces) {
      flops[0] += training_flops(
          options.model,
          training_tokens(options.model, piece.batch, piece.plan, options.masked_weight < 1));
    }
  }
  communicator.sum(flops);
  return flops[0] / kSample;
}

std::int64_t steps_within_petaflops(const TrainingData& data, const PretrainOptions& options,
                                    Communicator& communicator) {
  const double per_step = flops_per_step(data, options, communicator);
  const double steps = std::floor(1e15 * options.petaflops / per_step);
  log_info("--petaflops {}: {:.3g} GFLOP a barcode", options.petaflops,
           1e-9 * per_step / static_cast<double>(options.batch));
  return static_cast<std::int64_t>(std::clamp(steps, 1.0, static_cast<double>(kMostSteps)));
}

std::int64_t time_steps(double seconds, const TrainingData& data, const PretrainOptions& options,
                        Learner& learner, const ModelDescription& description,
                        Communicator& communicator) {
  using SteadyClock = std::chrono::steady_clock;
  const auto since = [](SteadyClock::time_point begin) {
    return std::chrono::duration<double>(SteadyClock::now() - begin).count();
  };
  constexpr std::int64_t kWarmUp = 2, kFewest = 3;
  const double most_seconds = std::min(10.0, 0.05 * seconds);
  const auto began = SteadyClock::now();
  learner.initialise(data.site_log_frequencies);
  BatchSource source(data, options, communicator, /*total_steps=*/0);
  auto timing_began = began;
  std::int64_t step = 0;
  const auto more = [&] {
    return from_root(communicator, step < kWarmUp + kFewest || since(timing_began) < most_seconds);
  };
  for (; more(); ++step) {
    if (step == kWarmUp) timing_began = SteadyClock::now();
    learner.step(source.take(step, false), step, {options.lr * 1e-3, 0.9}, step);
  }
  const double per_step = since(timing_began) / static_cast<double>(step - kWarmUp);
  const auto validation_began = SteadyClock::now();
  Validator(data, options, learner, description, communicator).run([] { return false; });
  const double per_validation = since(validation_began);
  const double left = std::max(seconds - since(began), 0.0);
  const std::int64_t steps =
      from_root(communicator, steps_within(left, per_step, per_validation, options, data.records));
  log_info("--minutes {}: {:.3f} s a step and {:.1f} s a validation, so {} steps", options.minutes,
           per_step, per_validation, steps);
  return steps;
}

}  // namespace barcodemae
