// SPDX-License-Identifier: MIT
#include "train/pretraining_task.h"

#include <fmt/format.h>

#include "base/atomic_file.h"
#include "train/training_report.h"

namespace barcodemae {
namespace {

nlohmann::json json_or_null(const std::optional<double>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

}  // namespace

PretrainingTask::PretrainingTask(const RunRecord& run, const RunDirectory* directory,
                                 const TrainingData& data, const PretrainOptions& options,
                                 Learner& learner, const ModelDescription& description,
                                 Communicator& communicator)
    : run_(run),
      directory_(directory),
      data_(data),
      options_(options),
      learner_(learner),
      description_(description),
      source_(data, options, communicator, run.total_steps),
      validator_(data, options, learner, description, communicator) {}

std::string PretrainingTask::key(const char* what) const {
  return fmt::format("{}_{}", task_name(options_.model), what);
}

std::optional<Validation> PretrainingTask::validate(const std::function<bool()>& stop) {
  const std::optional<ValidationResult> result = validator_.run(stop);
  if (!result) return std::nullopt;
  Validation validation{result->masked_accuracy, result->masked_loss, {}, {}};
  nlohmann::ordered_json& line = validation.line;
  line[key("loss")] = result->masked_loss;
  line["site_frequency_loss"] = result->site_frequency_loss;
  line[key("accuracy")] = result->masked_accuracy;
  line["effective_rank"] = result->effective_rank;
  line["mean_cosine"] = result->mean_cosine;
  line["genus_accuracy"] = json_or_null(result->genus_accuracy);
  line["genus_accuracy_centred"] = json_or_null(result->genus_accuracy_centred);
  std::string genus = "no labels for genus 1-NN";
  if (result->genus_accuracy) {
    genus = fmt::format("genus 1-NN {:.1f} % (centred {:.1f} %)", 100 * *result->genus_accuracy,
                        100 * *result->genus_accuracy_centred);
  }
  validation.text = fmt::format(
      "{} loss {:.4f} (by site {:.4f}), accuracy {:.2f} %; embeddings: effective rank {:.1f}, mean "
      "cosine {:.4f}, {}",
      options_.model.causal() ? "next-token" : "masked", result->masked_loss,
      result->site_frequency_loss, 100 * result->masked_accuracy, result->effective_rank,
      result->mean_cosine, genus);
  return validation;
}

bool PretrainingTask::better(const BestValidation& now,
                             const std::optional<BestValidation>& before) const {
  const double tail = (1 - options_.unmasked_tail) * static_cast<double>(run_.total_steps);
  return presents_better(now, before, tail);
}

void PretrainingTask::describe(const IntervalSums& sums, nlohmann::ordered_json& line) const {
  const auto masked = static_cast<double>(sums.masked);
  line[key("loss")] = mean_or_null(sums.masked_loss, masked);
  if (options_.masked_weight < 1) {
    line["visible_loss"] = mean_or_null(sums.visible_loss, static_cast<double>(sums.visible));
  }
  line["site_frequency_loss"] = mean_or_null(sums.site_loss, masked);
  line[key("accuracy")] = mean_or_null(sums.masked_hits, masked);
  for (std::size_t i = 0; i < options_.model.auxiliary.size(); ++i) {
    const std::string name = auxiliary_name(options_.model.auxiliary[i]);
    const bool any = i < sums.auxiliary_count.size();
    line[name + "_loss"] =
        any ? mean_or_null(sums.auxiliary_loss[i], sums.auxiliary_count[i]) : nlohmann::json();
    line[name + "_accuracy"] =
        any ? mean_or_null(sums.auxiliary_hits[i], sums.auxiliary_count[i]) : nlohmann::json();
  }
}

std::string PretrainingTask::describe(const IntervalSums& sums) const {
  if (sums.masked == 0) return "";
  const auto masked = static_cast<double>(sums.masked);
  return fmt::format("loss {:.3f} (by site {:.3f})  accuracy {:.1f} %", sums.masked_loss / masked,
                     sums.site_loss / masked, 100 * sums.masked_hits / masked);
}

void PretrainingTask::write_best(const TrainingState& state) const {
  write_model(directory_->path(), described("best", state), learner_.parameters(),
              /*pretraining=*/true);
}

void PretrainingTask::write_last(const TrainingState& state) const {
  write_directory_atomically(directory_->last_model(), [&](const std::filesystem::path& folder) {
    write_model(folder, described("last", state), learner_.parameters(), /*pretraining=*/true);
  });
}

void PretrainingTask::write_report() const { write_training_report(*directory_, run_); }

ModelDescription PretrainingTask::described(const char* checkpoint,
                                            const TrainingState& state) const {
  ModelDescription description = description_;
  nlohmann::ordered_json facts;
  facts["checkpoint"] = checkpoint;
  facts["step"] = state.step;
  facts["steps_planned"] = run_.total_steps;
  facts["barcodes_seen"] = state.step * options_.batch;
  facts["barcodes_in_training_set"] = data_.records.training.size();
  facts["data_fingerprint"] = data_.fingerprint;
  facts["barcodemae_version"] = run_.version;
  if (state.best) {
    facts["best_step"] = state.best->step;
    facts["best_" + key("accuracy")] = state.best->accuracy;
    facts["best_" + key("loss")] = state.best->loss;
  }
  facts["options"] = run_.options;
  for (const auto& [name, value] : facts.items()) description.training[name] = value.dump();
  return description;
}

}  // namespace barcodemae
