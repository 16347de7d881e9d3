// SPDX-License-Identifier: MIT
#include "finetune/finetune_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "communication/collectives.h"
#include "data/packing.h"
#include "finetune/finetune_result.h"
#include "finetune/head.h"
#include "nn/classifier.h"

namespace barcodemae {
namespace {

constexpr std::int64_t kAskedAtATime = 256;  // records between two looks at `stop`

}  // namespace

std::optional<SoftmaxAnswers> ask(Embedder& embedder, const ClassifierHead& head,
                                  const Dataset& data, std::span<const std::int64_t> records,
                                  std::span<const std::int32_t> targets,
                                  const std::function<bool()>& stop, const std::string& title,
                                  Communicator& communicator) {
  const auto count = static_cast<std::int64_t>(records.size());
  const auto own = share_of(records, communicator);
  const auto own_targets = share_of(targets, communicator);
  const auto size = static_cast<std::int64_t>(own.size());
  std::optional<Progress> progress;
  if (!title.empty()) progress.emplace(title, "barcodes", size);
  SoftmaxAnswers answers;
  for (std::int64_t first = 0; first < largest_share(count, communicator); first += kAskedAtATime) {
    if (stop()) return std::nullopt;
    const std::int64_t end = std::min(first + kAskedAtATime, size);
    if (first >= end) continue;
    std::vector<TokenSequence> sequences;
    for (std::int64_t i = first; i < end; ++i) {
      sequences.push_back(
          data.tokens(own[static_cast<std::size_t>(i)], embedder.description().coder));
    }
    const SoftmaxAnswers some = answer(head, embedder.embed(sequences),
                                       own_targets.subspan(static_cast<std::size_t>(first),
                                                           static_cast<std::size_t>(end - first)));
    answers.classes.insert(answers.classes.end(), some.classes.begin(), some.classes.end());
    answers.losses.insert(answers.losses.end(), some.losses.begin(), some.losses.end());
    if (progress) progress->update(end);
  }
  if (progress) progress->finish();
  return SoftmaxAnswers{concatenate(communicator, std::span<const std::int32_t>(answers.classes)),
                        concatenate(communicator, std::span<const double>(answers.losses))};
}

FinetuneTask::FinetuneTask(const RunRecord& run, const RunDirectory* directory,
                           std::filesystem::path model, const Dataset& data,
                           const FinetuneSides& sides, const FinetuneOptions& options,
                           std::function<ClassifierHead()> first_head, Learner& learner,
                           const ModelDescription& description, Communicator& communicator)
    : run_(run),
      directory_(directory),
      model_(std::move(model)),
      data_(data),
      sides_(sides),
      options_(options),
      first_head_(std::move(first_head)),
      learner_(learner),
      description_(description),
      communicator_(communicator),
      source_(sides.train.records, options.batch, options.seed, communicator,
              [this](std::int64_t step, std::span<const std::int64_t> records) {
                return prepare(step, records);
              }),
      steps_per_epoch_(BatchSource::steps_per_epoch(sides.train.size(), options.batch)),
      targets_(sides.classes_of(sides.val.labels)) {
  dynamic_cast<Classifier&>(learner.model())
      .set_encoder_rate(learner.parameters(), options.encoder_lr_factor);
}

void FinetuneTask::initialise() {
  learner_.initialise({});
  if (options_.from_scratch) return;
  load_encoder(model_, learner_.parameters());
  if (first_head_) {
    const ClassifierHead head = first_head_();
    learner_.parameters().upload(Classifier::kWeight, head.weights.values);
    learner_.parameters().upload(Classifier::kBias, head.bias);
  }
  learner_.refresh();
}

TrainingStep FinetuneTask::prepare(std::int64_t step, std::span<const std::int64_t> records) const {
  const auto piece_size = static_cast<std::size_t>(options_.micro_batch);
  const FrameOffsets offsets{true, options_.seed, static_cast<std::uint32_t>(step)};
  TrainingStep result;
  result.counts.auxiliary = {0};
  result.auxiliary_scale = 1;
  for (std::size_t first = 0; first < records.size(); first += piece_size) {
    const auto part = records.subspan(first, std::min(piece_size, records.size() - first));
    MicroBatch piece;
    piece.batch = pack(data_, description_.coder, part, offsets);
    piece.plan = plan_without_masks(piece.batch);
    LabelTargets& targets = piece.plan.labels.emplace_back();
    for (const std::int64_t record : part) {
      const std::int32_t label = data_.label(record, options_.rank);
      targets.labels.push_back(sides_.class_of_label[static_cast<std::size_t>(label)]);
    }
    targets.count = count_labelled(targets.labels);
    result.counts.auxiliary[0] += targets.count;
    result.pieces.push_back(std::move(piece));
  }
  return result;
}

std::optional<Validation> FinetuneTask::validate(const std::function<bool()>& stop) {
  EmbedderOptions embedding;
  embedding.precision = learner_.activation();
  Embedder embedder =
      Embedder::borrow(description_, learner_.model().encoder(), learner_.backend(), embedding);
  const std::optional<SoftmaxAnswers> answers =
      ask(embedder, head_of(learner_.parameters(), sides_, options_.rank), data_,
          sides_.val.records, targets_, stop, "", communicator_);
  if (!answers) return std::nullopt;
  std::int64_t right = 0, known = 0;
  double loss = 0;
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    if (targets_[i] < 0) continue;  // wrong by nature
    ++known;
    loss += answers->losses[i];
    if (answers->classes[i] == targets_[i]) ++right;
  }
  Validation validation;
  validation.loss = loss / static_cast<double>(known);
  validation.accuracy = static_cast<double>(right) / static_cast<double>(targets_.size());
  validation.line["loss"] = validation.loss;
  validation.line["accuracy"] = validation.accuracy;
  validation.text = fmt::format("{} loss {:.4f}, accuracy {:.2f} %", to_string(options_.rank),
                                validation.loss, 100 * validation.accuracy);
  return validation;
}

bool FinetuneTask::better(const BestValidation& now,
                          const std::optional<BestValidation>& before) const {
  if (!std::isfinite(now.loss)) return false;
  if (!before || now.accuracy > before->accuracy) return true;
  return now.accuracy == before->accuracy && now.loss < before->loss;
}

bool FinetuneTask::enough(const TrainingState& state) const {
  if (options_.patience == 0 || !state.best || state.validated_step != state.step) return false;
  // While the learning rate rises, a good beginning is rarely surpassed.
  const auto risen =
      static_cast<std::int64_t>(std::ceil(options_.warmup * static_cast<double>(run_.total_steps)));
  const std::int64_t since = std::max(state.best->step, risen);
  return state.step - since >= options_.patience * steps_per_epoch_;
}

void FinetuneTask::describe(const IntervalSums& sums, nlohmann::ordered_json& line) const {
  const bool any = !sums.auxiliary_count.empty();
  line["loss"] =
      any ? mean_or_null(sums.auxiliary_loss[0], sums.auxiliary_count[0]) : nlohmann::json();
  line["accuracy"] =
      any ? mean_or_null(sums.auxiliary_hits[0], sums.auxiliary_count[0]) : nlohmann::json();
}

std::string FinetuneTask::describe(const IntervalSums& sums) const {
  if (sums.auxiliary_count.empty()) return "";
  const double count = sums.auxiliary_count[0];
  return fmt::format("loss {:.3f}  accuracy {:.1f} %", sums.auxiliary_loss[0] / count,
                     100 * sums.auxiliary_hits[0] / count);
}

void FinetuneTask::write(const std::filesystem::path& folder, const char* checkpoint,
                         const TrainingState& state) const {
  ModelDescription description = description_;
  nlohmann::ordered_json facts;
  facts["finetuned_to"] = to_string(options_.rank);
  facts["classes"] = sides_.classes.size();
  facts["checkpoint"] = checkpoint;
  facts["step"] = state.step;
  facts["barcodes_seen"] = state.step * options_.batch;
  facts["barcodes_in_training_set"] = sides_.train.size();
  facts["data_fingerprint"] = run_.data_fingerprint;
  facts["barcodemae_version"] = run_.version;
  facts["options"] = run_.options;
  for (const auto& [name, value] : facts.items()) description.training[name] = value.dump();
  write_classifier(folder, head_of(learner_.parameters(), sides_, options_.rank));
  write_model(folder, description, learner_.parameters(), /*pretraining=*/false);
}

void FinetuneTask::write_best(const TrainingState& state) const {
  write(directory_->path(), "best", state);
}

void FinetuneTask::write_last(const TrainingState& state) const {
  write_directory_atomically(directory_->last_model(), [&](const std::filesystem::path& folder) {
    write(folder, "last", state);
  });
}

void FinetuneTask::write_report() const {
  Report report(fmt::format("Fine-tuning to {}", to_string(options_.rank)),
                fmt::format("barcodemae {}, {}", run_.version, run_.data_file));
  add_curves(report, read_epochs(directory_->metrics_file(), steps_per_epoch_));
  try {
    report.write(directory_->report_file());
  } catch (const UserError& error) {  // no reason to end a training
    log_warn("no report of the training: {}", error.what());
  }
}

}  // namespace barcodemae
