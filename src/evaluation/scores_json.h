// SPDX-License-Identifier: MIT
#pragma once

#include <nlohmann/json.hpp>

#include "analysis/classification.h"

namespace barcodemae {

/// Adds "accuracy", "balanced_accuracy", "micro_f1", "macro_f1", "weighted_f1", "queries",
/// "correct", "unlabelled" and "label_not_among_keys" to a JSON object.
inline void add_scores(nlohmann::ordered_json& entry, const ClassificationScores& scores) {
  entry["accuracy"] = scores.accuracy;
  entry["balanced_accuracy"] = scores.balanced_accuracy;
  entry["micro_f1"] = scores.micro_f1;
  entry["macro_f1"] = scores.macro_f1;
  entry["weighted_f1"] = scores.weighted_f1;
  entry["queries"] = scores.queries;
  entry["correct"] = scores.correct;
  entry["unlabelled"] = scores.unlabelled;
  entry["label_not_among_keys"] = scores.unreachable;
}

}  // namespace barcodemae
