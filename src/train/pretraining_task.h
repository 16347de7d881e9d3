// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "communication/communicator.h"
#include "formats/model_directory.h"
#include "train/learner.h"
#include "train/run_directory.h"
#include "train/training_data.h"
#include "train/training_task.h"
#include "train/validation.h"

namespace barcodemae {

/// Pretraining by options.model.objective, as the loop sees it.
class PretrainingTask final : public TrainingTask {
 public:
  /// `description`: of the model, without training facts. `directory`: rank 0's, else null. All
  /// must outlive this object.
  PretrainingTask(const RunRecord& run, const RunDirectory* directory, const TrainingData& data,
                  const PretrainOptions& options, Learner& learner,
                  const ModelDescription& description, Communicator& communicator);

  std::string title() const override { return "pretraining"; }
  void initialise() override { learner_.initialise(data_.site_log_frequencies); }
  TrainingStep take(std::int64_t step, bool last) override { return source_.take(step, last); }
  std::optional<Validation> validate(const std::function<bool()>& stop) override;
  bool better(const BestValidation& now,
              const std::optional<BestValidation>& before) const override;
  void describe(const IntervalSums& sums, nlohmann::ordered_json& line) const override;
  std::string describe(const IntervalSums& sums) const override;
  void write_best(const TrainingState& state) const override;
  void write_last(const TrainingState& state) const override;
  void write_report() const override;

 private:
  ModelDescription described(const char* checkpoint, const TrainingState& state) const;
  /// "masked_loss", or "next_token_loss".
  std::string key(const char* what) const;

  const RunRecord& run_;
  const RunDirectory* directory_;
  const TrainingData& data_;
  const PretrainOptions& options_;
  Learner& learner_;
  const ModelDescription& description_;
  BatchSource source_;
  Validator validator_;
};

}  // namespace barcodemae
