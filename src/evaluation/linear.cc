// SPDX-License-Identifier: MIT
#include "evaluation/linear.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "analysis/kmer_counts.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/stopwatch.h"
#include "evaluation/class_table.h"
#include "evaluation/questions.h"
#include "evaluation/scores_json.h"

namespace barcodemae {
namespace {

using Optimiser = LinearProbeOptions::Optimiser;

/// Labels of the three sides, shared by all rows.
struct Sides {
  std::vector<std::int32_t> train, val, test;
};

LinearRow probed_row(const std::string& name, const LinearOptions& options, const Sides& labels,
                     const RowSource& train, const RowSource& val, const RowSource& test,
                     std::int32_t classes) {
  return probed_row(name, options.probe, options.learning_rates, {train, labels.train},
                    {val, labels.val}, {test, labels.test}, classes);
}

LinearResult begun(const LinearOptions& options, const Sides& labels,
                   std::vector<std::string> label_names) {
  LinearResult result;
  result.rank = options.rank;
  result.probe = options.probe;
  result.label_names = std::move(label_names);
  const std::vector<bool> known =
      known_labels(labels.train, static_cast<std::int32_t>(result.label_names.size()));
  result.classes = std::count(known.begin(), known.end(), true);
  const auto labelled = std::ranges::count_if(labels.train, [](int label) { return label >= 0; });
  result.probe.batch = options.probe.batch_for(labelled);
  return result;
}

}  // namespace

TaughtSides taught_sides(const EvaluationData& evaluation, const std::string& train,
                         const std::string& val, const std::string& test, Rank rank) {
  const auto train_splits = evaluation.splits(train, "--train");
  const auto val_splits = evaluation.splits(val, "--val");
  const auto test_splits = evaluation.splits(test, "--test");
  const std::string named_train = "--train " + train, named_val = "--val " + val,
                    named_test = "--test " + test;
  require_apart(train_splits, val_splits, named_train + " " + named_val,
                "what is trained on says nothing about stopping");
  require_apart(train_splits, test_splits, named_train + " " + named_test,
                "what is trained on is no test");
  require_apart(val_splits, test_splits, named_val + " " + named_test,
                "what is chosen by is no test");
  return {evaluation.labelled(train_splits, rank, "--train"),
          evaluation.labelled(val_splits, rank, "--val"),
          evaluation.labelled(test_splits, rank, "--test")};
}

ChosenProbe choose_probe(const std::string& name, const LinearProbeOptions& options,
                         std::span<const double> learning_rates, const LabelledRows& train,
                         const LabelledRows& val) {
  BARCODEMAE_CHECK(!learning_rates.empty(), "no learning rate for the probe of {}", name);
  ChosenProbe best;
  for (const double learning_rate : learning_rates) {
    LinearProbeOptions probe_options = options;
    probe_options.learning_rate = learning_rate;
    std::string title = "linear probe: " + name;
    if (learning_rates.size() > 1) title += fmt::format(", lr {}", learning_rate);
    LinearProbe probe = LinearProbe::train(train, val, probe_options, title);
    if (best.learning_rate > 0 && probe.validation_accuracy() <= best.probe.validation_accuracy()) {
      continue;
    }
    best = {std::move(probe), learning_rate};
  }
  return best;
}

LinearRow probed_row(const std::string& name, const LinearProbeOptions& options,
                     std::span<const double> learning_rates, const LabelledRows& train,
                     const LabelledRows& val, const LabelledRows& test, std::int32_t classes) {
  const auto start = std::chrono::steady_clock::now();
  const auto [probe, learning_rate] = choose_probe(name, options, learning_rates, train, val);
  LinearRow row;
  row.name = name;
  row.learning_rate = learning_rate;
  row.validation_accuracy = probe.validation_accuracy();
  row.best_epoch = probe.best_epoch();
  row.epochs = probe.epochs();
  row.answers = probe.predict(test.vectors);
  row.seconds = seconds_since(start);
  row.scores = score_predictions(test.labels, row.answers, known_labels(train.labels, classes));
  return row;
}

LinearProbeOptions reference_protocol() {
  LinearProbeOptions options;
  options.optimiser = Optimiser::kSgd;
  options.scaling = LinearProbeOptions::Scaling::kGlobal;
  options.start = LinearProbeOptions::Start::kUniformRandom;
  options.learning_rate = kReferenceLearningRate;
  options.momentum = 0.95;
  options.weight_decay = 1e-9;
  options.batch = 1024;
  options.epochs = 200;
  options.patience = 0;
  return options;
}

LinearResult evaluate_linear(const std::filesystem::path& model, const std::filesystem::path& data,
                             const LinearOptions& options, Communicator& communicator) {
  EvaluationData evaluation(model, data, options.features, communicator);
  const TaughtSides sides =
      taught_sides(evaluation, options.train, options.val, options.test, options.rank);
  const LabelledRecords &train_records = sides.train, &val_records = sides.val,
                        &test_records = sides.test;
  const std::string train = "--train " + options.train, val = "--val " + options.val,
                    test = "--test " + options.test;
  const Sides labels{train_records.labels, val_records.labels, test_records.labels};
  LinearResult result = begun(options, labels, label_names(evaluation.data(), options.rank));
  result.train = options.train;
  result.val = options.val;
  result.test = options.test;
  result.train_count = train_records.size();
  result.val_count = val_records.size();
  result.test_count = test_records.size();
  result.asked = asked_records(evaluation.data(), test_records);
  result.left_out = train_records.left_out() + val_records.left_out() + test_records.left_out();
  require_question({train, labels.train}, {test, labels.test}, options.rank, result.label_names);
  require_question({train, labels.train}, {val, labels.val}, options.rank, result.label_names);

  const auto classes = static_cast<std::int32_t>(result.label_names.size());
  const auto add_encoder = [&](FrozenEncoder encoder) {
    const Matrix train_vectors = encoder.embed(train_records);
    const Matrix val_vectors = encoder.embed(val_records);
    const Matrix test_vectors = encoder.embed(test_records);
    if (communicator.rank() != 0) return;
    result.rows.push_back(probed_row(encoder.name(), options, labels, RowSource::of(train_vectors),
                                     RowSource::of(val_vectors), RowSource::of(test_vectors),
                                     classes));
  };
  add_encoder(evaluation.trained());
  if (!options.baselines) return result;
  add_encoder(evaluation.untrained(options.seed));
  if (communicator.rank() != 0) return result;
  const auto counts = [&](const LabelledRecords& records) {
    return kmer_count_rows(evaluation.data(), records.records, options.baseline_kmer);
  };
  result.rows.push_back(probed_row(fmt::format("{}-mer counts", options.baseline_kmer), options,
                                   labels, counts(train_records), counts(val_records),
                                   counts(test_records), classes));
  return result;
}

LinearResult evaluate_linear(const LinearFiles& files, const LinearOptions& options,
                             Communicator& communicator) {
  require_same_maker(files.train, files.val);
  require_same_maker(files.train, files.test);
  LabelNumbers numbers;
  LabelledVectors train = read_embeddings(files.train, options.rank, numbers);
  LabelledVectors val = read_embeddings(files.val, options.rank, numbers);
  const LabelledVectors test = read_embeddings(files.test, options.rank, numbers);
  for (const auto& [cols, file] : {std::pair(val.vectors.cols, &files.val.vectors),
                                   std::pair(test.vectors.cols, &files.test.vectors)}) {
    if (cols == train.vectors.cols) continue;
    throw UserError("{} has {} columns, {} has {}\nAll must come from the same model.",
                    files.train.vectors.string(), train.vectors.cols, file->string(), cols);
  }
  const std::int64_t left_out = train.keep_labelled() + val.keep_labelled();
  const std::int64_t unlabelled = std::count(test.labels.begin(), test.labels.end(), -1);
  if (left_out > 0)
    log_info("{} rows to train on or to choose by without a label are left out",
             format_count(left_out));
  const Sides labels{train.labels, val.labels, test.labels};
  LinearResult result = begun(options, labels, numbers.names());
  result.train = files.train.vectors.string();
  result.val = files.val.vectors.string();
  result.test = files.test.vectors.string();
  result.train_count = train.vectors.rows;
  result.val_count = val.vectors.rows;
  result.test_count = test.vectors.rows - unlabelled;
  result.asked = asked_records(files.test, test.labels);
  result.left_out = left_out + unlabelled;
  require_question({files.train.labels.string(), labels.train},
                   {files.test.labels.string(), labels.test}, options.rank, result.label_names);
  require_question({files.train.labels.string(), labels.train},
                   {files.val.labels.string(), labels.val}, options.rank, result.label_names);
  warn_of_shared_ids({files.train.labels, files.val.labels, files.test.labels});
  if (communicator.rank() != 0) return result;
  result.rows.push_back(probed_row(files.train.vectors.stem().string(), options, labels,
                                   RowSource::of(train.vectors), RowSource::of(val.vectors),
                                   RowSource::of(test.vectors), numbers.count()));
  return result;
}

std::string LinearResult::record_table() const {
  RecordTable table(asked, label_names, "answer");
  for (const LinearRow& row : rows) table.add_answers(row.name, row.answers);
  return table.csv();
}

std::string LinearResult::class_table() const {
  std::vector<std::pair<std::string_view, const ClassificationScores*>> all;
  for (const LinearRow& row : rows) all.emplace_back(row.name, &row.scores);
  return class_table_csv(all, label_names);
}

nlohmann::ordered_json LinearResult::to_json() const {
  nlohmann::ordered_json json;
  json["task"] = "linear";
  json["rank"] = to_string(rank);
  json["train"] = train;
  json["val"] = val;
  json["test"] = test;
  json["train_count"] = train_count;
  json["val_count"] = val_count;
  json["test_count"] = test_count;
  json["classes"] = classes;
  json["left_out"] = left_out;
  json["optimiser"] = probe.optimiser == Optimiser::kSgd ? "sgd" : "adamw";
  json["standardised"] =
      probe.scaling == LinearProbeOptions::Scaling::kGlobal ? "globally" : "by feature";
  json["weight_decay"] = probe.weight_decay;
  if (probe.optimiser == Optimiser::kSgd) json["momentum"] = probe.momentum;
  json["batch"] = probe.batch;
  json["most_epochs"] = probe.epochs;
  json["patience"] = probe.patience;
  json["seed"] = probe.seed;
  json["rows"] = nlohmann::ordered_json::array();
  for (const LinearRow& row : rows) {
    nlohmann::ordered_json entry;
    entry["name"] = row.name;
    add_scores(entry, row.scores);
    entry["val_accuracy"] = row.validation_accuracy;
    entry["learning_rate"] = row.learning_rate;
    entry["epoch"] = row.best_epoch;
    entry["seconds"] = row.seconds;
    entry["epochs"] = nlohmann::ordered_json::array();
    for (const ProbeEpoch& epoch : row.epochs) {
      entry["epochs"].push_back(
          {{"loss", epoch.loss}, {"val_accuracy", epoch.validation_accuracy}});
    }
    json["rows"].push_back(std::move(entry));
  }
  return json;
}

std::string LinearResult::to_text() const {
  std::string text = fmt::format(
      "{} by linear probe: trained on {} ({}, {} classes), tested on {} ({})\n", to_string(rank),
      format_count(train_count), train, format_count(classes), format_count(test_count), test);
  text += probe.patience > 0
              ? fmt::format("Stopped and chosen on {} ({})\n", format_count(val_count), val)
              : fmt::format("{} epochs, not stopped by {} ({})\n", probe.epochs,
                            format_count(val_count), val);
  if (!rows.empty()) {
    const ClassificationScores& first = rows.front().scores;
    text += left_out_line(left_out, "rows");
    text +=
        fmt::format("{} test rows have a label that no training row has; they count as wrong\n\n",
                    format_count(first.unreachable));
  }
  std::size_t width = 4;
  for (const LinearRow& row : rows) width = std::max(width, row.name.size());
  text += fmt::format(
      "{:<{}}  accuracy %  balanced %  macro F1 %  weighted F1 %  val %       lr  epoch  seconds\n",
      "", width);
  for (const LinearRow& row : rows) {
    text += fmt::format(
        "{:<{}}  {:>10.2f}  {:>10.2f}  {:>10.2f}  {:>13.2f}  {:>5.2f}  {:>7}  {:>5}  {:>7.0f}\n",
        row.name, width, 100 * row.scores.accuracy, 100 * row.scores.balanced_accuracy,
        100 * row.scores.macro_f1, 100 * row.scores.weighted_f1, 100 * row.validation_accuracy,
        row.learning_rate, row.best_epoch, row.seconds);
  }
  return text;
}

}  // namespace barcodemae
