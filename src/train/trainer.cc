// SPDX-License-Identifier: MIT
#include "train/trainer.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"
#include "train/training_report.h"

namespace barcodemae {
namespace {

double seconds_between(std::chrono::steady_clock::time_point begin,
                       std::chrono::steady_clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

std::optional<double> mean(double sum, std::int64_t count) {
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

/// JSON has no infinity or NaN: null.
nlohmann::json json_or_null(const std::optional<double>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

}  // namespace

void NonFiniteGuard::note(TrainingState& state, bool applied) {
  ++state.step;
  if (applied) {
    ++state.updates;
    state.skipped_in_a_row = 0;
    return;
  }
  ++state.skipped;
  ++state.skipped_in_a_row;
  if (state.skipped_in_a_row < kMostInARow) return;
  throw UserError(
      "the loss or its gradients were not finite in {} steps in a row, the last one being step {}\n"
      "The training has diverged: give a smaller --lr, or --clip 1, or --precision f32, and "
      "another "
      "--out.",
      kMostInARow, state.step);
}

Trainer::Trainer(const RunRecord& run, const RunDirectory& directory, const TrainingData& data,
                 const PretrainOptions& options, Learner& learner,
                 const ModelDescription& description)
    : run_(run),
      directory_(directory),
      data_(data),
      options_(options),
      learner_(learner),
      description_(description),
      schedule_(options.schedule, run.total_steps),
      source_(data, options),
      validator_(data, options, learner, description),
      checkpoints_(directory.checkpoints(), run_fingerprint(run)) {
  learner_.initialise(data.site_log_frequencies);
  if (const std::optional<TrainingState> saved =
          checkpoints_.load(learner_.parameters(), learner_.backend())) {
    state_ = *saved;
    learner_.refresh();
    log_info("Resuming at step {} of {}", state_.step, run_.total_steps);
  }
  metrics_ = std::make_unique<MetricsLog>(directory.metrics_file(), state_.metrics_bytes);
  sitting_began_ = checkpointed_ = Clock::now();
  interval_began_ = seconds();
}

double Trainer::seconds() const {
  return state_.seconds + seconds_between(sitting_began_, Clock::now());
}

bool Trainer::validation_due() const {
  if (state_.validated_step >= state_.step) return false;
  return state_.step % run_.validate_every == 0 || state_.step >= run_.total_steps;
}

bool Trainer::run(const StopRequest& stop) {
  progress_ = std::make_unique<Progress>(
      "pretraining", "barcodes", run_.total_steps * options_.batch, state_.step * options_.batch);
  while (true) {
    if (validation_due() && !validate(stop)) break;
    if (state_.step >= run_.total_steps) {
      save_checkpoint();
      progress_->finish();
      write_last();
      return true;
    }
    if (stop(state_.step)) break;
    if (seconds_between(checkpointed_, Clock::now()) >= 60 * options_.checkpoint_minutes) {
      save_checkpoint();
    }
    take_step();
  }
  save_checkpoint();
  progress_->finish();
  return false;
}

void Trainer::take_step() {
  const std::int64_t number = state_.step;
  const Schedule::Point point = schedule_.at(number);
  const TrainingStep content = source_.take(number, number + 1 == run_.total_steps);
  const StepOutcome outcome = learner_.step(content, number, point, state_.updates);
  note_step(content, outcome, point.learning_rate);
}

void Trainer::note_step(const TrainingStep& content, const StepOutcome& outcome,
                        double learning_rate) {
  const GlobalCounts& counts = content.counts;
  IntervalSums& sums = state_.interval;
  sums.barcodes += options_.batch;
  interval_barcodes_ += options_.batch;
  if (outcome.applied) {
    ++sums.steps;
    sums.masked += counts.masked;
    sums.visible += counts.visible;
    sums.masked_loss += outcome.losses.masked * static_cast<double>(counts.masked);
    sums.visible_loss += outcome.losses.visible * static_cast<double>(counts.visible);
    sums.masked_hits += outcome.losses.masked_hits;
    sums.site_loss += content.site_loss;
    sums.gradient_norm += outcome.gradient_norm;
  } else {
    log_warn("step {}: loss or gradient not finite, skipped", state_.step + 1);
  }
  try {
    NonFiniteGuard::note(state_, outcome.applied);
  } catch (const UserError&) {
    write_interval(learning_rate);
    throw;
  }
  std::string text = fmt::format("step {}/{}", state_.step, run_.total_steps);
  if (const std::optional<double> loss = mean(sums.masked_loss, sums.masked)) {
    text +=
        fmt::format("  loss {:.3f} (by site {:.3f})  accuracy {:.1f} %", *loss,
                    *mean(sums.site_loss, sums.masked), 100 * *mean(sums.masked_hits, sums.masked));
  }
  progress_->update(state_.step * options_.batch, text);
  if (state_.step % run_.log_every == 0 || state_.step == run_.total_steps) {
    write_interval(learning_rate);
  }
}

void Trainer::write_interval(double learning_rate) {
  const IntervalSums& sums = state_.interval;
  nlohmann::ordered_json line;
  line["kind"] = "train";
  line["step"] = state_.step;
  line["barcodes"] = state_.step * options_.batch;
  line["learning_rate"] = learning_rate;
  // Null when every step of the interval was skipped.
  line["masked_loss"] = json_or_null(mean(sums.masked_loss, sums.masked));
  if (options_.masked_weight < 1) {
    line["visible_loss"] = json_or_null(mean(sums.visible_loss, sums.visible));
  }
  line["site_frequency_loss"] = json_or_null(mean(sums.site_loss, sums.masked));
  line["masked_accuracy"] = json_or_null(mean(sums.masked_hits, sums.masked));
  line["gradient_norm"] = json_or_null(mean(sums.gradient_norm, sums.steps));
  line["skipped_steps"] = state_.skipped;
  line["barcodes_per_s"] =
      static_cast<double>(interval_barcodes_) / std::max(seconds() - interval_began_, 1e-9);
  line["seconds"] = seconds();
  metrics_->append(line);
  state_.interval = {};
  interval_barcodes_ = 0;
  interval_began_ = seconds();
}

bool Trainer::validate(const StopRequest& stop) {
  const double began = seconds();
  const std::optional<ValidationResult> result = validator_.run([&] { return stop(state_.step); });
  if (!result) return false;
  interval_began_ += seconds() - began;  // the rate is that of training
  state_.validated_step = state_.step;
  const bool best = std::isfinite(result->masked_loss) &&
                    (!state_.best || result->masked_accuracy > state_.best->masked_accuracy);

  nlohmann::ordered_json line;
  line["kind"] = "validation";
  line["step"] = state_.step;
  line["barcodes"] = state_.step * options_.batch;
  line["masked_loss"] = result->masked_loss;
  line["site_frequency_loss"] = result->site_frequency_loss;
  line["masked_accuracy"] = result->masked_accuracy;
  line["effective_rank"] = result->effective_rank;
  line["mean_cosine"] = result->mean_cosine;
  line["genus_accuracy"] = json_or_null(result->genus_accuracy);
  line["genus_accuracy_centred"] = json_or_null(result->genus_accuracy_centred);
  line["best"] = best;
  line["seconds"] = seconds();
  metrics_->append(line);

  std::string genus = "no labels for genus 1-NN";
  if (result->genus_accuracy) {
    genus = fmt::format("genus 1-NN {:.1f} % (centred {:.1f} %)", 100 * *result->genus_accuracy,
                        100 * *result->genus_accuracy_centred);
  }
  log_info(
      "Validation at step {}: masked loss {:.4f} (by site {:.4f}), accuracy {:.2f} %{}; "
      "embeddings: "
      "effective rank {:.1f}, mean cosine {:.4f}, {}",
      state_.step, result->masked_loss, result->site_frequency_loss, 100 * result->masked_accuracy,
      best ? ", best so far" : "", result->effective_rank, result->mean_cosine, genus);
  if (best) {
    state_.best = BestValidation{state_.step, result->masked_accuracy, result->masked_loss};
    write_model(directory_.path(), described("best"), learner_.parameters(), /*pretraining=*/true);
  }
  write_training_report(directory_, run_);
  return true;
}

void Trainer::save_checkpoint() {
  state_.metrics_bytes = metrics_->sync();
  TrainingState saved = state_;
  saved.seconds = seconds();
  checkpoints_.save(learner_.parameters(), learner_.backend(), saved);
  checkpointed_ = Clock::now();
}

void Trainer::write_last() {
  write_directory_atomically(directory_.last_model(), [&](const std::filesystem::path& folder) {
    write_model(folder, described("last"), learner_.parameters(), /*pretraining=*/true);
  });
}

ModelDescription Trainer::described(const char* checkpoint) const {
  ModelDescription description = description_;
  nlohmann::ordered_json facts;
  facts["checkpoint"] = checkpoint;
  facts["step"] = state_.step;
  facts["steps_planned"] = run_.total_steps;
  facts["barcodes_seen"] = state_.step * options_.batch;
  facts["barcodes_in_training_set"] = data_.records.training.size();
  facts["data_fingerprint"] = data_.fingerprint;
  facts["barcodemae_version"] = run_.version;
  if (state_.best) {
    facts["best_step"] = state_.best->step;
    facts["best_masked_accuracy"] = state_.best->masked_accuracy;
    facts["best_masked_loss"] = state_.best->masked_loss;
  }
  facts["options"] = run_.options;
  for (const auto& [name, value] : facts.items()) description.training[name] = value.dump();
  return description;
}

}  // namespace barcodemae
