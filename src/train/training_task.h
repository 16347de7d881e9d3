// SPDX-License-Identifier: MIT
// What the loop of a training (trainer.h) asks of what it trains: batches, validations, words and
// files. Pretraining is one such task, fine-tuning another.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "train/batch_source.h"
#include "train/training_state.h"

namespace barcodemae {

/// What a validation found.
struct Validation {     // NOLINT(bugprone-exception-escape): ordered_json's move is not noexcept
  double accuracy = 0;  ///< chooses the best model
  double loss = 0;      ///< must be finite for that
  nlohmann::ordered_json line;  ///< for metrics.jsonl
  std::string text;             ///< for the log
};

class TrainingTask {
 public:
  virtual ~TrainingTask() = default;
  TrainingTask(const TrainingTask&) = delete;
  TrainingTask& operator=(const TrainingTask&) = delete;

  /// Names the work in the progress line: "pretraining".
  virtual std::string title() const = 0;
  /// First weights; moments 0. Of a training that has no checkpoint yet. Collective.
  virtual void initialise() = 0;
  /// The content of `step`; preparation of the next one begins unless `last`. Collective.
  virtual TrainingStep take(std::int64_t step, bool last) = 0;
  /// The same in all processes. nullopt when `stop`, which is collective too, said so in between.
  virtual std::optional<Validation> validate(const std::function<bool()>& stop) = 0;
  /// Whether a validation presents a better model than the best before it. Never one whose loss is
  /// not finite.
  virtual bool better(const BestValidation& now,
                      const std::optional<BestValidation>& before) const = 0;
  /// After a validation: whether there is no use in going on.
  virtual bool enough(const TrainingState&) const { return false; }

  /// What metrics.jsonl says of some steps, beside what is true of every training.
  virtual void describe(const IntervalSums& sums, nlohmann::ordered_json& line) const = 0;
  /// The same for the progress line; empty: nothing yet.
  virtual std::string describe(const IntervalSums& sums) const = 0;

  // Rank 0 alone:
  virtual void write_best(const TrainingState& state) const = 0;
  virtual void write_last(const TrainingState& state) const = 0;
  /// After each validation.
  virtual void write_report() const = 0;

 protected:
  TrainingTask() = default;
};

/// Σ / count for JSON, which has no infinity or NaN: null without steps.
nlohmann::json mean_or_null(double sum, double count);

}  // namespace barcodemae
