// SPDX-License-Identifier: MIT
#include "finetune/finetune.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "backend/backends.h"
#include "barcodemae_version.h"
#include "base/error.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/progress.h"
#include "communication/collectives.h"
#include "evaluation/class_table.h"
#include "evaluation/questions.h"
#include "finetune/finetune_task.h"
#include "finetune/head.h"
#include "formats/classifier_files.h"
#include "nn/classifier.h"
#include "train/checkpoint.h"

namespace barcodemae {
namespace {

struct Job {
  const FinetuneOptions& options;
  const FinetuneSides& sides;
  const EvaluationData& evaluation;
  const Dataset& data;
  const ModelDescription& description;
  Backend& backend;
  Communicator& communicator;
};

/// Trains to the end; false: interrupted.
bool train(RunRecord& run, const RunDirectory* directory, const std::filesystem::path& model,
           bool begun, const Job& job, const StopRequest& stop) {
  const FinetuneOptions& options = job.options;
  const auto classes = static_cast<int>(job.sides.classes.size());
  const LearnerOptions learning{
      .seed = options.seed,
      .micro_batch = std::min(options.micro_batch, largest_share(options.batch, job.communicator)),
      .masked = {0, 0, 0},
      .weight_decay = options.weight_decay,
      .clip = options.clip};
  const DType activation = options.features.precision;
  Learner learner(
      learning,
      [&](Parameters& parameters) {
        return std::make_unique<Classifier>(parameters, job.description.config, options.rank,
                                            classes);
      },
      job.backend, activation, job.description.coder.max_tokens(), job.communicator);
  const std::string fingerprint = run_fingerprint(run, compared_finetune_options());
  if (!begun && directory != nullptr) {
    CheckpointStore(directory->checkpoints(), fingerprint).clear();
    directory->write(run);
  }
  log_info(
      "Fine-tuning: up to {} epochs of {} steps of {} barcodes; lr up to {:g}, of the encoder "
      "{:g}",
      options.epochs, format_count(run.validate_every), options.batch, options.lr,
      options.lr * options.encoder_lr_factor);
  std::function<ClassifierHead()> first_head;
  if (options.begins_with_probe()) {
    first_head = [&] { return probed_head(job.evaluation, job.sides, options, job.communicator); };
  }
  FinetuneTask task(run, directory, model, job.data, job.sides, options, first_head, learner,
                    job.description, job.communicator);
  ScheduleConfig schedule;
  schedule.kind = ScheduleKind::kCosine;
  schedule.peak = options.lr;
  schedule.warmup = options.warmup;
  Trainer trainer(run, directory,
                  {.batch = options.batch,
                   .schedule = schedule,
                   .checkpoint_minutes = options.checkpoint_minutes,
                   .fingerprint = fingerprint},
                  learner, task, job.communicator);
  if (!trainer.run(stop)) {
    log_info("Interrupted after step {} of {}; the same command goes on from there",
             trainer.state().step, run.total_steps);
    return false;
  }
  const TrainingState& state = trainer.state();
  if (!state.best) {
    throw UserError(
        "no validation had a finite loss: there is no model to report on\n"
        "Give --precision f32 or a smaller --lr, and another --out.");
  }
  run.result["steps"] = state.step;
  run.result["skipped_steps"] = state.skipped;
  run.result["best_step"] = state.best->step;
  run.result["val_accuracy"] = state.best->accuracy;
  run.result["val_loss"] = state.best->loss;
  run.result["seconds"] = trainer.seconds();
  run.finished = true;
  if (directory != nullptr) directory->write(run);
  return true;
}

/// Asks the model in rank 0's folder about `test`.
void score(FinetuneResult& result, const RunDirectory* directory, const Job& job) {
  Parameters parameters(job.backend);
  const Encoder encoder(parameters, job.description.config);
  parameters.allocate(/*training=*/false);
  ClassifierHead head;
  if (directory != nullptr) {
    load_encoder(directory->path(), parameters);
    head = read_classifier(directory->path(), job.description.config.encoder.width);
    if (head.classes != job.sides.classes || head.rank != job.options.rank) {
      throw UserError(
          "{}: its classes are not those of this run\nFine-tune again, to another --out.",
          (directory->path() / "classes.json").string());
    }
  }
  share_head(head, static_cast<std::int64_t>(job.sides.classes.size()),
             job.description.config.encoder.width, job.communicator);
  const View values = parameters.values();
  std::vector<float> weights(static_cast<std::size_t>(values.size()));
  job.backend.download(weights.data(), values);
  job.communicator.broadcast(weights.data(), weights.size() * sizeof(float));
  job.backend.upload(values, weights.data());
  const DType precision = job.options.features.precision;
  job.backend.refresh_weights(parameters, precision, /*backward=*/false);

  EmbedderOptions embedding;
  embedding.precision = precision;
  Embedder embedder = Embedder::borrow(job.description, encoder, job.backend, embedding);
  const std::vector<std::int32_t> targets = job.sides.classes_of(job.sides.test.labels);
  const SoftmaxAnswers answers = *ask(
      embedder, head, job.data, job.sides.test.records, targets, [] { return false; },
      "classifying " + job.options.test, job.communicator);
  for (const std::int32_t one : answers.classes) {
    result.answers.push_back(job.sides.label_of_class[static_cast<std::size_t>(one)]);
  }
  const FinetuneSides& sides = job.sides;
  result.scores =
      score_predictions(sides.test.labels, result.answers,
                        known_labels(sides.train.labels, job.data.label_count(job.options.rank)));
  result.wrong =
      still_right(job.data, sides.test.records, result.answers, sides.train, job.options.rank);
}

FinetuneResult result_of(const RunRecord& run, const RunDirectory* directory,
                         const std::filesystem::path& model, const Job& job) {
  const FinetuneOptions& options = job.options;
  const FinetuneSides& sides = job.sides;
  FinetuneResult result;
  result.name = model_name(model) + (options.from_scratch ? ", from scratch" : ", fine-tuned");
  result.options = options;
  result.train_count = sides.train.size();
  result.val_count = sides.val.size();
  result.test_count = sides.test.size();
  result.classes = static_cast<std::int64_t>(sides.classes.size());
  result.left_out = sides.train.left_out() + sides.val.left_out() + sides.test.left_out();
  result.val_unknown = sides.val_unknown;
  result.label_names = label_names(job.data, options.rank);
  result.asked = asked_records(job.data, sides.test);
  score(result, directory, job);
  result.validation_accuracy = run.result.value("val_accuracy", 0.0);
  result.best_epoch =
      static_cast<int>(run.result.value("best_step", std::int64_t{0}) / run.validate_every);
  result.seconds = run.result.value("seconds", 0.0);
  if (directory != nullptr) {
    result.epochs = read_epochs(directory->metrics_file(), run.validate_every);
  }
  return result;
}

}  // namespace

nlohmann::ordered_json to_json(const FinetuneOptions& options, const std::string& model) {
  nlohmann::ordered_json json;
  json["model"] = model;
  json["from-scratch"] = options.from_scratch;
  json["rank"] = to_string(options.rank);
  json["train"] = options.train;
  json["val"] = options.val;
  json["anchor"] = options.features.anchor;
  json["marker-code"] = options.features.marker_code;
  json["epochs"] = options.epochs;
  json["patience"] = options.patience;
  json["batch"] = options.batch;
  json["lr"] = options.lr;
  json["encoder-lr-factor"] = options.encoder_lr_factor;
  json["random-head"] = options.random_head;
  json["warmup"] = options.warmup;
  json["weight-decay"] = options.weight_decay;
  json["clip"] = options.clip;
  json["seed"] = options.seed;
  json["precision"] = precision_name(options.features.precision);
  // Another GPU goes on with the run of the first.
  json["device"] = to_string(parse_device(options.features.device).value().kind);
  json["micro-batch"] = options.micro_batch;
  return json;
}

std::vector<ComparedOption> compared_finetune_options() {
  std::vector<ComparedOption> compared;
  const nlohmann::ordered_json json = to_json(FinetuneOptions(), "");
  for (const auto& [name, value] : json.items()) compared.push_back({name, {}, false});
  return compared;
}

std::optional<FinetuneResult> finetune(const std::filesystem::path& model,
                                       const std::filesystem::path& data_file,
                                       const std::filesystem::path& out,
                                       const FinetuneOptions& options, Backend& backend,
                                       const StopRequest& stop, Communicator& communicator) {
  RunRecord run;
  run.version = BARCODEMAE_VERSION;
  run.options = to_json(options, model_fingerprint(model));
  run.data_file = data_file.string();
  std::optional<RunDirectory> directory;  // rank 0's
  if (communicator.rank() == 0) directory.emplace(out);
  const RunDirectory* const writable = directory ? &*directory : nullptr;
  const std::optional<RunRecord> begun = read_begun(writable, communicator);
  if (begun) {  // options first: that needs no reading of data
    run.data_fingerprint = begun->data_fingerprint;
    run.profile_fingerprint = begun->profile_fingerprint;
    check_same_run(*begun, run, out, compared_finetune_options());
  }
  FeatureOptions features = options.features;
  features.pooling = "mean";  // whatever a table of frozen features asks for
  EvaluationData evaluation(model, data_file, features, communicator);
  const Dataset& data = evaluation.data();
  run.data_fingerprint = data.fingerprint();
  run.profile_fingerprint = coder_fingerprint(evaluation.description().coder);
  require_same_job(run, communicator);
  if (begun) check_same_run(*begun, run, out, compared_finetune_options());

  const FinetuneSides sides = choose_sides(evaluation, data, options);
  log_info("Classes: {} of {} barcodes to train on; of {} for validation {} have none of them",
           format_count(static_cast<std::int64_t>(sides.classes.size())),
           format_count(sides.train.size()), format_count(sides.val.size()),
           format_count(sides.val_unknown));
  const std::int64_t per_epoch = BatchSource::steps_per_epoch(sides.train.size(), options.batch);
  if (options.batch < communicator.size()) {
    throw UserError("--batch {} is less than the {} processes of this job\nStart fewer of them.",
                    options.batch, communicator.size());
  }
  ModelDescription description = evaluation.description();
  description.training.clear();  // of the model that it was
  const Job job{options, sides, evaluation, data, description, backend, communicator};
  run.simd = begun ? begun->simd : to_string(machine().simd);
  run.total_steps = options.epochs * per_epoch;
  run.validate_every = run.log_every = per_epoch;
  if (begun && begun->finished) {
    log_info("This run is finished: its model is only tested");
    run = *begun;
  } else if (!train(run, writable, model, begun.has_value(), job, stop)) {
    return std::nullopt;
  }
  return result_of(run, writable, model, job);
}

}  // namespace barcodemae
