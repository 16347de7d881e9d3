// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "analysis/classification.h"
#include "evaluation/record_table.h"
#include "evaluation/still_right.h"
#include "finetune/finetune_options.h"
#include "report/report.h"
#include "sequence/record.h"

namespace barcodemae {

/// Of metrics.jsonl; not a number where there is none, or it was not finite.
struct FinetuneEpoch {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  int epoch = 0;  ///< 0: before the first step, without training's numbers
  double training_loss = kNone, training_accuracy = kNone;
  double validation_loss = kNone, validation_accuracy = kNone;
  bool best = false;  ///< so far
};
/// `steps_per_epoch`: of the run.
std::vector<FinetuneEpoch> read_epochs(const std::filesystem::path& metrics_file,
                                       std::int64_t steps_per_epoch);
/// Two charts, loss and accuracy against epochs.
void add_curves(Report& report, const std::vector<FinetuneEpoch>& epochs);

struct FinetuneResult {
  std::string name;  ///< of the model it began with
  FinetuneOptions options;
  std::int64_t train_count = 0, val_count = 0, test_count = 0, classes = 0;
  std::int64_t left_out = 0;     ///< records of these splits without a label, or without a token
  std::int64_t val_unknown = 0;  ///< of val_count: of a class that is not trained on

  ClassificationScores scores;    ///< on `test`
  std::vector<StillRight> wrong;  ///< what wrong answers still get right
  double validation_accuracy = 0;
  int best_epoch = 0;
  std::vector<FinetuneEpoch> epochs;  ///< those that were validated
  double seconds = 0;                 ///< of training and validation, over all sittings
  std::vector<std::string> label_names;
  AskedRecords asked;                 ///< `test`
  std::vector<std::int32_t> answers;  ///< the label that each got

  /// {"task": "finetune", "rank", "train", …, "rows": [{"name", "accuracy", …, "epochs"}]}
  nlohmann::ordered_json to_json() const;
  /// The table for a terminal.
  std::string to_text() const;
  /// Every record of `test`: CSV of features, id, label, answer.
  std::string record_table() const;
  /// Every class (class_table_csv).
  std::string class_table() const;
};

}  // namespace barcodemae
