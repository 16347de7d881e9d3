// SPDX-License-Identifier: MIT
#include "train/trainer.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/fingerprint.h"
#include "base/log.h"
#include "base/stopwatch.h"
#include "communication/collectives.h"

namespace barcodemae {
namespace {

/// Gives every process rank 0's values of a flat buffer, through the memory of the host.
void broadcast_from_root(View buffer, Backend& backend, Communicator& communicator) {
  if (communicator.size() == 1) return;
  constexpr std::int64_t kPiece = std::int64_t{1} << 22;  // elements
  std::vector<std::byte> piece;
  const View column{buffer.data, buffer.size(), 1, buffer.dtype};
  for (std::int64_t first = 0; first < column.rows; first += kPiece) {
    const View part = column.slice_rows(first, std::min(kPiece, column.rows - first));
    piece.resize(part.bytes());
    if (communicator.rank() == 0) backend.download(piece.data(), part);
    communicator.broadcast(piece.data(), piece.size());
    if (communicator.rank() != 0) backend.upload(part, piece.data());
  }
}

}  // namespace

nlohmann::json mean_or_null(double sum, double count) {
  return count > 0 ? nlohmann::json(sum / count) : nlohmann::json();
}

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

Trainer::Trainer(const RunRecord& run, const RunDirectory* directory, LoopOptions options,
                 Learner& learner, TrainingTask& task, Communicator& communicator)
    : run_(run),
      directory_(directory),
      options_(std::move(options)),
      learner_(learner),
      task_(task),
      communicator_(communicator),
      schedule_(options_.schedule, run.total_steps) {
  if (directory_ != nullptr) {
    checkpoints_.emplace(directory_->checkpoints(), options_.fingerprint);
  }
  sitting_began_ = checkpointed_ = Clock::now();
  if (!load_checkpoint()) task_.initialise();
  if (directory_ != nullptr) {
    metrics_ = std::make_unique<MetricsLog>(directory_->metrics_file(), state_.metrics_bytes);
  }
  interval_began_ = seconds();
  seconds_in_sums_ = communicator_.seconds_in_sums();  // --minutes has timed some steps
  seconds_waited_ = communicator_.seconds_waited();
}

bool Trainer::load_checkpoint() {
  std::optional<TrainingState> saved;
  if (checkpoints_) saved = checkpoints_->load(learner_.parameters(), learner_.backend());
  const std::string text =
      text_from_root(communicator_, saved ? to_json(*saved).dump() : std::string());
  if (text.empty()) return false;
  state_ = training_state_from_json(nlohmann::json::parse(text), "the first process's checkpoint");
  const Parameters& parameters = learner_.parameters();
  for (const View& buffer :
       {parameters.values(), parameters.first_moments(), parameters.second_moments()}) {
    broadcast_from_root(buffer, learner_.backend(), communicator_);
  }
  learner_.refresh();
  log_info("Resuming at step {} of {}", state_.step, run_.total_steps);
  return true;
}

double Trainer::seconds() const { return state_.seconds + seconds_since(sitting_began_); }

bool Trainer::validation_due() const {
  if (state_.validated_step >= state_.step) return false;
  return state_.step % run_.validate_every == 0 || state_.step >= run_.total_steps;
}

bool Trainer::run(const StopRequest& stop) {
  const std::int64_t begun = state_.step;
  const auto stop_anywhere = [&](std::int64_t step) { return any(communicator_, stop(step)); };
  progress_ = std::make_unique<Progress>(
      task_.title(), "barcodes", run_.total_steps * options_.batch, state_.step * options_.batch);
  while (true) {
    if (validation_due() && !validate(stop_anywhere)) break;
    if (state_.step >= run_.total_steps || task_.enough(state_)) {
      save_checkpoint();
      progress_->finish();
      if (directory_ != nullptr) task_.write_last(state_);
      say_what_communication_cost(state_.step - begun);
      return true;
    }
    // What one process sees, a signal or its clock, all of them do.
    const bool due = seconds_since(checkpointed_) >= 60 * options_.checkpoint_minutes;
    double votes[] = {stop(state_.step) ? 1.0 : 0.0, due ? 1.0 : 0.0};
    communicator_.sum(votes);
    if (votes[0] > 0) break;
    if (votes[1] > 0) save_checkpoint();
    take_step();
  }
  save_checkpoint();
  progress_->finish();
  say_what_communication_cost(state_.step - begun);
  return false;
}

void Trainer::take_step() {
  const std::int64_t number = state_.step;
  const Schedule::Point point = schedule_.at(number);
  const TrainingStep content = task_.take(number, number + 1 == run_.total_steps);
  const StepOutcome outcome = learner_.step(content, number, point, state_.updates);
  note_step(content, outcome, point.learning_rate);
}

void Trainer::note_step(const TrainingStep& content, const StepOutcome& outcome,
                        double learning_rate) {
  const GlobalCounts& counts = content.counts;
  IntervalSums& sums = state_.interval;
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
    const std::vector<std::int64_t>& labelled = counts.auxiliary;
    for (std::vector<double>* of :
         {&sums.auxiliary_loss, &sums.auxiliary_hits, &sums.auxiliary_count}) {
      of->resize(labelled.size(), 0.0);
    }
    for (std::size_t i = 0; i < labelled.size(); ++i) {
      const auto count = static_cast<double>(labelled[i]);
      sums.auxiliary_loss[i] += outcome.losses.auxiliary[i] * count;
      sums.auxiliary_hits[i] += outcome.losses.auxiliary_hits[i];
      sums.auxiliary_count[i] += count;
    }
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
  if (const std::string losses = task_.describe(sums); !losses.empty()) text += "  " + losses;
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
  task_.describe(sums, line);
  line["gradient_norm"] = mean_or_null(sums.gradient_norm, static_cast<double>(sums.steps));
  line["skipped_steps"] = state_.skipped;
  line["barcodes_per_s"] =
      static_cast<double>(interval_barcodes_) / std::max(seconds() - interval_began_, 1e-9);
  line["seconds"] = seconds();
  if (metrics_) metrics_->append(line);
  state_.interval = {};
  interval_barcodes_ = 0;
  interval_began_ = seconds();
}

bool Trainer::validate(const StopRequest& stop) {
  const double began = seconds();
  const std::optional<Validation> result = task_.validate([&] { return stop(state_.step); });
  if (!result) return false;
  interval_began_ += seconds() - began;  // the rate is that of training
  state_.validated_step = state_.step;
  const BestValidation now{state_.step, result->accuracy, result->loss};
  const bool best = task_.better(now, state_.best);
  if (best) state_.best = now;
  if (directory_ != nullptr) write_validation(*result, best);
  return true;
}

void Trainer::write_validation(const Validation& result, bool best) {
  nlohmann::ordered_json line;
  line["kind"] = "validation";
  line["step"] = state_.step;
  line["barcodes"] = state_.step * options_.batch;
  for (const auto& [name, value] : result.line.items()) line[name] = value;
  line["best"] = best;
  line["seconds"] = seconds();
  metrics_->append(line);
  log_info("Validation at step {}: {}{}", state_.step, result.text, best ? "; best so far" : "");
  if (best) task_.write_best(state_);
  task_.write_report();
}

void Trainer::require_same_weights() {
  if (communicator_.size() == 1) return;
  const Parameters& parameters = learner_.parameters();
  Fingerprint fingerprint;
  std::vector<float> values(static_cast<std::size_t>(parameters.padded_count()));
  for (const View& buffer :
       {parameters.values(), parameters.first_moments(), parameters.second_moments()}) {
    learner_.backend().download(values.data(), buffer);
    fingerprint.add(values.data(), values.size() * sizeof(float));
  }
  require_same(communicator_, fmt::format("their weights after step {}", state_.step),
               fingerprint.hex(),
               "No checkpoint was written. Their machines compute differently: give them the same "
               "type of CPU (and GPU), or test their memory.");
}

void Trainer::save_checkpoint() {
  require_same_weights();
  checkpointed_ = Clock::now();
  if (!checkpoints_) return;
  state_.metrics_bytes = metrics_->sync();
  TrainingState saved = state_;
  saved.seconds = seconds();
  checkpoints_->save(learner_.parameters(), learner_.backend(), saved);
  checkpointed_ = Clock::now();
}

void Trainer::say_what_communication_cost(std::int64_t steps) const {
  if (communicator_.size() == 1 || steps == 0) return;
  const auto per_step = [&](double seconds) { return 1e3 * seconds / static_cast<double>(steps); };
  log_info(
      "Gradients: {} a step in {} parts; {:.1f} ms a step to add them up over {} processes, "
      "{:.1f} ms of it waited for",
      format_bytes(static_cast<double>(learner_.parameters().gradients().bytes())),
      learner_.gradient_sum().buckets(),
      per_step(communicator_.seconds_in_sums() - seconds_in_sums_), communicator_.size(),
      per_step(communicator_.seconds_waited() - seconds_waited_));
}

}  // namespace barcodemae
