// SPDX-License-Identifier: MIT
#include "train/training_state.h"

#include <cmath>
#include <limits>

#include "formats/json.h"

namespace barcodemae {
namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 53;  // what JSON readers keep exactly
constexpr double kLargest = std::numeric_limits<double>::max();

}  // namespace

bool presents_better(const BestValidation& now, const std::optional<BestValidation>& before,
                     double tail) {
  if (!std::isfinite(now.loss)) return false;
  if (!before) return true;
  const auto in_tail = [&](const BestValidation& at) {
    return static_cast<double>(at.step) > tail;
  };
  if (in_tail(now) != in_tail(*before)) return in_tail(now);
  return now.accuracy > before->accuracy;
}

nlohmann::ordered_json to_json(const TrainingState& state) {
  nlohmann::ordered_json json;
  json["step"] = state.step;
  json["updates"] = state.updates;
  json["skipped"] = state.skipped;
  json["skipped_in_a_row"] = state.skipped_in_a_row;
  json["validated_step"] = state.validated_step;
  json["seconds"] = state.seconds;
  json["metrics_bytes"] = state.metrics_bytes;
  json["best"] = nullptr;
  if (state.best) {
    json["best"] = {{"step", state.best->step},
                    {"masked_accuracy", state.best->accuracy},
                    {"masked_loss", state.best->loss}};
  }
  const IntervalSums& sums = state.interval;
  json["interval"] = {{"steps", sums.steps},
                      {"masked", sums.masked},
                      {"visible", sums.visible},
                      {"masked_loss", sums.masked_loss},
                      {"visible_loss", sums.visible_loss},
                      {"site_loss", sums.site_loss},
                      {"masked_hits", sums.masked_hits},
                      {"gradient_norm", sums.gradient_norm}};
  if (!sums.auxiliary_loss.empty()) {
    json["interval"]["auxiliary"] = {{"loss", sums.auxiliary_loss},
                                     {"hits", sums.auxiliary_hits},
                                     {"count", sums.auxiliary_count}};
  }
  return json;
}

TrainingState training_state_from_json(const nlohmann::json& json, const std::string& source) {
  const JsonReader reader(json, source);
  TrainingState state;
  state.step = reader.integer("step", 0, kMost);
  state.updates = reader.integer("updates", 0, state.step);
  state.skipped = reader.integer("skipped", 0, state.step);
  state.skipped_in_a_row = reader.integer("skipped_in_a_row", 0, state.skipped);
  state.validated_step = reader.integer("validated_step", -1, state.step);
  state.seconds = reader.number("seconds", 0, kLargest);
  state.metrics_bytes = reader.integer("metrics_bytes", 0, kMost);
  if (reader.has("best")) {
    const JsonReader best = reader.object("best");
    state.best =
        BestValidation{best.integer("step", 0, state.step), best.number("masked_accuracy", 0, 1),
                       best.number("masked_loss", -kLargest, kLargest)};
  }
  const JsonReader interval = reader.object("interval");
  IntervalSums& sums = state.interval;
  sums.steps = interval.integer("steps", 0, state.step);
  sums.masked = interval.integer("masked", 0, kMost);
  sums.visible = interval.integer("visible", 0, kMost);
  sums.masked_loss = interval.number("masked_loss", -kLargest, kLargest);
  sums.visible_loss = interval.number("visible_loss", -kLargest, kLargest);
  sums.site_loss = interval.number("site_loss", -kLargest, kLargest);
  sums.masked_hits = interval.number("masked_hits", 0, kLargest);
  sums.gradient_norm = interval.number("gradient_norm", 0, kLargest);
  if (interval.has("auxiliary")) {
    const JsonReader auxiliary = interval.object("auxiliary");
    const auto numbers = [&](const char* key) {
      const auto found = auxiliary.json().find(key);
      std::vector<double> values;
      if (found == auxiliary.json().end() || !found->is_array()) auxiliary.fail(key, "numbers");
      for (const nlohmann::json& value : *found) {
        if (!value.is_number()) auxiliary.fail(key, "numbers");
        values.push_back(value.get<double>());
      }
      return values;
    };
    sums.auxiliary_loss = numbers("loss");
    sums.auxiliary_hits = numbers("hits");
    sums.auxiliary_count = numbers("count");
    if (sums.auxiliary_hits.size() != sums.auxiliary_loss.size() ||
        sums.auxiliary_count.size() != sums.auxiliary_loss.size()) {
      auxiliary.fail("count", "as many numbers as \"loss\"");
    }
  }
  return state;
}

}  // namespace barcodemae
