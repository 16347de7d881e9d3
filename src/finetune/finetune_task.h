// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "analysis/softmax_answers.h"
#include "communication/communicator.h"
#include "finetune/finetune_options.h"
#include "finetune/finetune_sides.h"
#include "formats/classifier_files.h"
#include "formats/model_directory.h"
#include "inference/embedder.h"
#include "train/learner.h"
#include "train/training_task.h"

namespace barcodemae {

/// What a model says of records: embedded by the mean over their tokens, then the head. Collective;
/// the same in all processes, each of which embeds its share. nullopt when `stop`, which is
/// collective too, said so in between. `targets`: as of answer(). `title`: of a progress line, or
/// empty.
std::optional<SoftmaxAnswers> ask(Embedder& embedder, const ClassifierHead& head,
                                  const Dataset& data, std::span<const std::int64_t> records,
                                  std::span<const std::int32_t> targets,
                                  const std::function<bool()>& stop, const std::string& title,
                                  Communicator& communicator);

/// Fine-tuning as the loop sees it. An epoch is ⌊N / batch⌋ steps and a validation.
class FinetuneTask final : public TrainingTask {
 public:
  /// `first_head`: what the head begins as; asked once, collectively, unless a checkpoint is there;
  /// null: random. `model`: the directory whose encoder is the beginning. `description`: of the
  /// encoder, pooled by the mean. `learner` has a Classifier. `directory`: rank 0's, else null.
  FinetuneTask(const RunRecord& run, const RunDirectory* directory, std::filesystem::path model,
               const Dataset& data, const FinetuneSides& sides, const FinetuneOptions& options,
               std::function<ClassifierHead()> first_head, Learner& learner,
               const ModelDescription& description, Communicator& communicator);

  std::string title() const override { return "fine-tuning"; }
  void initialise() override;
  TrainingStep take(std::int64_t step, bool last) override { return source_.take(step, last); }
  std::optional<Validation> validate(const std::function<bool()>& stop) override;
  /// `val` may be small, and soon all right: of equally accurate epochs the one with less loss.
  bool better(const BestValidation& now,
              const std::optional<BestValidation>& before) const override;
  bool enough(const TrainingState& state) const override;
  void describe(const IntervalSums& sums, nlohmann::ordered_json& line) const override;
  std::string describe(const IntervalSums& sums) const override;
  void write_best(const TrainingState& state) const override;
  void write_last(const TrainingState& state) const override;
  void write_report() const override;

 private:
  TrainingStep prepare(std::int64_t step, std::span<const std::int64_t> records) const;
  void write(const std::filesystem::path& folder, const char* checkpoint,
             const TrainingState& state) const;

  const RunRecord& run_;
  const RunDirectory* directory_;
  std::filesystem::path model_;
  const Dataset& data_;
  const FinetuneSides& sides_;
  const FinetuneOptions& options_;
  std::function<ClassifierHead()> first_head_;
  Learner& learner_;
  const ModelDescription& description_;
  Communicator& communicator_;
  BatchSource source_;
  std::int64_t steps_per_epoch_;
  std::vector<std::int32_t> targets_;  // of `val`
};

}  // namespace barcodemae
