// SPDX-License-Identifier: MIT
// Where a training stands, apart from weights and moments. Randomness is counter-based, so that the
// step is all there is to know about it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace barcodemae {

/// Sums over the steps since the last line of metrics.jsonl. Token sums are weighted by tokens.
struct IntervalSums {
  std::int64_t steps = 0;
  std::int64_t masked = 0, visible = 0;      ///< tokens scored
  double masked_loss = 0, visible_loss = 0;  ///< nats
  double site_loss = 0;  ///< of predicting the masked tokens by their sites' frequencies, nats
  double masked_hits = 0;
  double gradient_norm = 0;
  /// Of each auxiliary loss: Σ loss · count, hits, count.
  std::vector<double> auxiliary_loss, auxiliary_hits, auxiliary_count;
};

/// The validation that presents the model: the best by TrainingTask::better. The accuracy is of
/// masked (or next) tokens in pretraining, of classes in fine-tuning.
struct BestValidation {
  std::int64_t step = 0;
  double accuracy = 0;
  double loss = 0;
};

/// Whether `now` presents the model better than `before`. Beyond step `tail` nothing is masked,
/// which makes a model that masked accuracy understates: what comes from there is better anyway.
bool presents_better(const BestValidation& now, const std::optional<BestValidation>& before,
                     double tail);

struct TrainingState {
  std::int64_t step = 0;     ///< optimiser steps done, skipped ones too
  std::int64_t updates = 0;  ///< of them applied: AdamW's t
  std::int64_t skipped = 0;  ///< of them skipped: something was not finite
  std::int64_t skipped_in_a_row = 0;
  std::int64_t validated_step = -1;  ///< last step at which a validation was completed
  double seconds = 0;                ///< of training and validation, over all sittings
  std::optional<BestValidation> best;
  IntervalSums interval;
  std::int64_t metrics_bytes = 0;  ///< length of metrics.jsonl that belongs to this state
};

nlohmann::ordered_json to_json(const TrainingState& state);
/// Throws UserError naming `source` when something is missing or out of range.
TrainingState training_state_from_json(const nlohmann::json& json, const std::string& source);

}  // namespace barcodemae
