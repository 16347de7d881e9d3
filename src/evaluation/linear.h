// SPDX-License-Identifier: MIT
// Frozen features judged by a linear probe (paper, closed world: species of `test`), beside
// baselines that need no training of an encoder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "analysis/classification.h"
#include "analysis/kmer_counts.h"
#include "analysis/linear_probe.h"
#include "communication/communicator.h"
#include "evaluation/embedding_files.h"
#include "evaluation/frozen_features.h"
#include "evaluation/record_table.h"
#include "sequence/record.h"

namespace barcodemae {

struct LinearOptions {
  std::string train = "train", val = "val", test = "test";
  Rank rank = Rank::kSpecies;
  /// What is trained, but for the learning rate; reference_protocol() for BarcodeBERT's.
  LinearProbeOptions probe;
  /// Each is tried; the best on `val` is reported, of equal ones the first.
  std::vector<double> learning_rates = {0.003, 0.01};
  bool baselines = true;  ///< add random encoder and k-mer counts
  int baseline_kmer = kBaselineKmer;
  std::uint64_t seed = 1;  ///< of the random-initialised encoder
  FeatureOptions features;
};

/// BarcodeBERT's linear probe (its baselines/linear_probing.py): one mean and one standard
/// deviation for all features; SGD, momentum 0.95, weight decay 1e-9, batches of 1,024, 200 epochs;
/// the last epoch's weights, whatever `val` says. Its learning rate is kReferenceLearningRate.
LinearProbeOptions reference_protocol();
inline constexpr double kReferenceLearningRate = 1;

/// One line of the table.
struct LinearRow {
  std::string name;
  ClassificationScores scores;  ///< on `test`
  double learning_rate = 0;     ///< of those tried, the best on `val`
  double validation_accuracy = 0;
  int best_epoch = 0;
  std::vector<ProbeEpoch> epochs;     ///< at that learning rate
  double seconds = 0;                 ///< of training, all learning rates together
  std::vector<std::int32_t> answers;  ///< of each record of `test`
};

/// Who is taught, chosen by and asked.
struct TaughtSides {
  LabelledRecords train, val, test;
};
/// The records of splits named by --train, --val and --test. Throws UserError when one is missing,
/// is on two sides, or has no record with a label at the rank.
TaughtSides taught_sides(const EvaluationData& evaluation, const std::string& train,
                         const std::string& val, const std::string& test, Rank rank);

/// Of the probes of some learning rates the best on `val`, of equal ones the first.
struct ChosenProbe {
  LinearProbe probe;
  double learning_rate = 0;
};
ChosenProbe choose_probe(const std::string& name, const LinearProbeOptions& options,
                         std::span<const double> learning_rates, const LabelledRows& train,
                         const LabelledRows& val);

/// Trains at every learning rate, and scores the one that is best on `val` on `test`. `classes`:
/// how many labels there are.
LinearRow probed_row(const std::string& name, const LinearProbeOptions& options,
                     std::span<const double> learning_rates, const LabelledRows& train,
                     const LabelledRows& val, const LabelledRows& test, std::int32_t classes);

struct LinearResult {
  Rank rank = Rank::kSpecies;
  std::string train, val, test;  ///< what they are: splits or files
  std::int64_t train_count = 0, val_count = 0, test_count = 0, classes = 0;
  std::int64_t left_out = 0;  ///< records of these splits without a label, or without a token
  LinearProbeOptions probe;
  std::vector<std::string> label_names;  ///< by label
  AskedRecords asked;                    ///< `test`
  std::vector<LinearRow> rows;

  /// {"task": "linear", "rank", "train", "val", "test", …, "rows": [{"name", "accuracy", …}]}
  nlohmann::ordered_json to_json() const;
  /// The table for a terminal.
  std::string to_text() const;
  /// Every record of `test`, of every row: CSV of features, id, label, answer.
  std::string record_table() const;
  /// Every class of every row (class_table_csv).
  std::string class_table() const;
};

/// Embeds, trains on `train`, stops and chooses on `val`, and scores `test`. Throws UserError when
/// model or data cannot be used, a split is missing or on two sides, no record of one has a label
/// at the rank, all of `train` have the same one, or none of `test` is known from `train`.
/// Collective: each process embeds its share of the records; rank 0 trains, and it alone has the
/// rows.
LinearResult evaluate_linear(const std::filesystem::path& model, const std::filesystem::path& data,
                             const LinearOptions& options, Communicator& communicator);

/// The same for embeddings made elsewhere, without baselines; all of it at rank 0.
struct LinearFiles {
  EmbeddingFiles train, val, test;
};
LinearResult evaluate_linear(const LinearFiles& files, const LinearOptions& options,
                             Communicator& communicator);

}  // namespace barcodemae
