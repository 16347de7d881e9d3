// SPDX-License-Identifier: MIT
#include "train/pretrain.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "barcodemae_version.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/progress.h"
#include "communication/collectives.h"
#include "train/pretraining_task.h"
#include "train/run_length.h"
#include "train/training_report.h"

namespace barcodemae {
namespace {

using Clock = std::chrono::steady_clock;

/// The labels of auxiliary losses by rank, in the order of their numbers.
std::string labels_json(const TrainingData& data) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [rank, labels] : data.labels_of_rank) {
    nlohmann::ordered_json& names = json[to_string(rank)] = nlohmann::ordered_json::array();
    for (std::size_t label = 0; label < labels.of_label.size(); ++label) {
      if (labels.of_label[label] < 0) continue;
      names.push_back(data.dataset.label_name(rank, static_cast<std::int32_t>(label)));
    }
  }
  return json.dump(1) + "\n";
}

/// The number of steps and what follows from it, for a run that begins now.
void fix_length(RunRecord& run, const TrainingData& data, const PretrainOptions& options,
                std::int64_t per_epoch, Learner& learner, const ModelDescription& description,
                Clock::time_point began, Communicator& communicator) {
  if (options.minutes > 0) {
    const double elapsed = std::chrono::duration<double>(Clock::now() - began).count();
    run.total_steps = time_steps(std::max(60 * options.minutes - elapsed, 0.0), data, options,
                                 learner, description, communicator);
  } else if (options.petaflops > 0) {
    run.total_steps = steps_within_petaflops(data, options, communicator);
  } else {
    run.total_steps = steps_asked_for(options, per_epoch);
  }
  run.validate_every = validation_interval(options, data.records, run.total_steps);
  run.log_every = log_interval(options, run.total_steps);
}

nlohmann::ordered_json result_of(const TrainingState& state, const PretrainOptions& options) {
  nlohmann::ordered_json result;
  result["steps"] = state.step;
  result["barcodes_seen"] = state.step * options.batch;
  result["skipped_steps"] = state.skipped;
  result["model"] = "best";
  result["best_step"] = state.best->step;
  const std::string task = task_name(options.model);
  result["best_" + task + "_accuracy"] = state.best->accuracy;
  result["best_" + task + "_loss"] = state.best->loss;
  return result;
}

void announce(const RunRecord& run, const PretrainOptions& options,
              const std::filesystem::path& out) {
  log_info(
      "{} holds the finished model: the best of {} steps by {}-token accuracy, step {} ({:.2f} "
      "%); the last one is in {}",
      out.string(), run.total_steps, options.model.causal() ? "next" : "masked",
      run.result.value("best_step", std::int64_t{0}),
      100 * run.result.value(fmt::format("best_{}_accuracy", task_name(options.model)), 0.0),
      (out / "last").string());
  if (run.result.value("best_step", std::int64_t{0}) == 0) {
    log_warn("no step was better than the beginning: {} is the untrained model. Train longer.",
             out.string());
  }
}

}  // namespace

PretrainOutcome pretrain(const std::filesystem::path& data_file, const std::filesystem::path& out,
                         const PretrainOptions& options, Backend& backend, DType activation,
                         const StopRequest& stop, Communicator& communicator) {
  const auto began = Clock::now();
  RunRecord run;
  run.version = BARCODEMAE_VERSION;
  run.options = to_json(options);
  run.data_file = data_file.string();

  std::optional<RunDirectory> directory;  // rank 0's
  if (communicator.rank() == 0) directory.emplace(out);
  const RunDirectory* const writable = directory ? &*directory : nullptr;
  const std::optional<RunRecord> begun = read_begun(writable, communicator);
  if (begun) {  // options first: that needs no reading of data
    run.data_fingerprint = begun->data_fingerprint;
    run.profile_fingerprint = begun->profile_fingerprint;
    check_same_run(*begun, run, out);
  }
  const TrainingData data = load_training_data(data_file, options);
  run.data_fingerprint = data.fingerprint;
  run.profile_fingerprint = coder_fingerprint(data.coder);
  require_same_job(run, communicator);
  if (begun) check_same_run(*begun, run, out);
  if (begun && begun->finished) {
    log_info("Nothing to do: this run is finished");
    announce(*begun, options, out);
    return PretrainOutcome::kAlreadyFinished;
  }

  const std::int64_t per_epoch = BatchSource::steps_per_epoch(data, options);  // refuses --batch
  if (options.batch < communicator.size()) {
    throw UserError("--batch {} is less than the {} processes of this job\nStart fewer of them.",
                    options.batch, communicator.size());
  }
  PretrainOptions own_options = options;  // those of this process's share
  own_options.micro_batch =
      std::min(options.micro_batch, largest_share(options.batch, communicator));
  for (AuxiliaryLoss& loss : own_options.model.auxiliary) {
    loss.classes = data.labels_of_rank.at(loss.rank).classes;
    if (loss.kind != AuxiliaryKind::kCrossEntropy && communicator.size() > 1) {
      throw UserError(
          "--auxiliary {}:{}: pairs are found among the barcodes of one process, and this job has "
          "{}\nStart one process, or use cross-entropy.",
          to_string(loss.rank), to_string(loss.kind), communicator.size());
    }
  }
  const ModelDescription description{own_options.model, data.coder, {}};
  Learner learner(own_options, backend, activation, data.coder.max_tokens(), communicator);
  run.simd = begun ? begun->simd : to_string(machine().simd);
  if (options.device == "cpu" && !run.simd.empty() && run.simd != to_string(machine().simd)) {
    log_warn("this run began with SIMD level {} and goes on with {}: its last bits will differ",
             run.simd, to_string(machine().simd));
  }
  if (begun) {
    run.total_steps = begun->total_steps;
    run.validate_every = begun->validate_every;
    run.log_every = begun->log_every;
  } else {
    fix_length(run, data, own_options, per_epoch, learner, description, began, communicator);
    if (writable != nullptr) {
      // Before run.json is there: what lies there now would then pass for this run's.
      CheckpointStore(writable->checkpoints(), run_fingerprint(run)).clear();
      if (!data.labels_of_rank.empty()) {
        write_file_atomically(out / "labels.json", labels_json(data));
      }
      writable->write(run);
    }
  }
  log_info("Training: {} steps of {} barcodes = {} barcodes, {:.2f} epochs; lr up to {:g}",
           format_count(run.total_steps), options.batch,
           format_count(run.total_steps * options.batch),
           static_cast<double>(run.total_steps) / static_cast<double>(per_epoch), options.lr);
  if (communicator.size() > 1) {
    log_info("Processes: {} by {}, {} of them on this machine, {} barcodes of each batch each",
             communicator.size(), communicator.library(), communicator.processes_on_machine(),
             options.batch / communicator.size());
  }

  PretrainingTask task(run, writable, data, own_options, learner, description, communicator);
  Trainer trainer(run, writable,
                  {.batch = options.batch,
                   .schedule = options.schedule,
                   .checkpoint_minutes = options.checkpoint_minutes,
                   .fingerprint = run_fingerprint(run)},
                  learner, task, communicator);
  if (!trainer.run(stop)) {
    log_info("Interrupted after step {} of {}; the same command goes on from there",
             trainer.state().step, run.total_steps);
    return PretrainOutcome::kInterrupted;
  }
  if (!trainer.state().best) {
    throw UserError(
        "no validation had a finite loss: there is no model to present\n"
        "Give --precision f32 or a smaller --lr, and another --out.");
  }
  run.result = result_of(trainer.state(), options);
  if (writable != nullptr) write_training_report(*writable, run);
  run.finished = true;
  if (writable != nullptr) writable->write(run);
  announce(run, options, out);
  return PretrainOutcome::kFinished;
}

}  // namespace barcodemae
