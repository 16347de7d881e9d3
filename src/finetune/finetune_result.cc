// SPDX-License-Identifier: MIT
#include "finetune/finetune_result.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/progress.h"
#include "evaluation/class_table.h"
#include "evaluation/questions.h"
#include "evaluation/scores_json.h"

namespace barcodemae {
namespace {

double number(const nlohmann::json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number() ? found->get<double>()
                                                   : std::numeric_limits<double>::quiet_NaN();
}

nlohmann::json finite_or_null(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json();
}

}  // namespace

std::vector<FinetuneEpoch> read_epochs(const std::filesystem::path& metrics_file,
                                       std::int64_t steps_per_epoch) {
  std::map<std::int64_t, FinetuneEpoch> epochs;
  std::ifstream file(metrics_file);
  for (std::string text; std::getline(file, text);) {
    const nlohmann::json line = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!line.is_object()) continue;
    const std::int64_t step = line.value("step", std::int64_t{0});
    FinetuneEpoch& epoch = epochs[step];
    epoch.epoch = static_cast<int>(step / steps_per_epoch);
    if (line.value("kind", "") == "train") {
      epoch.training_loss = number(line, "loss");
      epoch.training_accuracy = number(line, "accuracy");
    } else {
      epoch.validation_loss = number(line, "loss");
      epoch.validation_accuracy = number(line, "accuracy");
      epoch.best = line.value("best", false);
    }
  }
  std::vector<FinetuneEpoch> list;
  list.reserve(epochs.size());
  for (const auto& [step, epoch] : epochs) list.push_back(epoch);
  return list;
}

void add_curves(Report& report, const std::vector<FinetuneEpoch>& epochs) {
  LineChart losses{"Loss", "epoch", "cross entropy, nats", {{"training", {}}, {"validation", {}}}};
  LineChart accuracies{"Accuracy", "epoch", "%", {{"training", {}}, {"validation", {}}}};
  for (const FinetuneEpoch& epoch : epochs) {
    losses.series[0].points.emplace_back(epoch.epoch, epoch.training_loss);
    losses.series[1].points.emplace_back(epoch.epoch, epoch.validation_loss);
    accuracies.series[0].points.emplace_back(epoch.epoch, 100 * epoch.training_accuracy);
    accuracies.series[1].points.emplace_back(epoch.epoch, 100 * epoch.validation_accuracy);
  }
  report.add_line_chart(losses);
  report.add_line_chart(accuracies);
}

std::string FinetuneResult::record_table() const {
  RecordTable table(asked, label_names, "answer");
  table.add_answers(name, answers);
  return table.csv();
}

std::string FinetuneResult::class_table() const {
  return class_table_csv({{name, &scores}}, label_names);
}

nlohmann::ordered_json FinetuneResult::to_json() const {
  nlohmann::ordered_json json;
  json["task"] = "finetune";
  json["rank"] = to_string(options.rank);
  json["train"] = options.train;
  json["val"] = options.val;
  json["test"] = options.test;
  json["train_count"] = train_count;
  json["val_count"] = val_count;
  json["test_count"] = test_count;
  json["classes"] = classes;
  json["left_out"] = left_out;
  json["val_label_not_trained_on"] = val_unknown;
  json["from_scratch"] = options.from_scratch;
  json["encoder_lr_factor"] = options.encoder_lr_factor;
  json["random_head"] = !options.begins_with_probe();
  json["batch"] = options.batch;
  json["most_epochs"] = options.epochs;
  json["patience"] = options.patience;
  json["seed"] = options.seed;
  nlohmann::ordered_json row;
  row["name"] = name;
  add_scores(row, scores);
  row["val_accuracy"] = validation_accuracy;
  row["learning_rate"] = options.lr;
  row["epoch"] = best_epoch;
  row["seconds"] = seconds;
  row["epochs"] = nlohmann::ordered_json::array();
  for (const FinetuneEpoch& epoch : epochs) {
    row["epochs"].push_back({{"epoch", epoch.epoch},
                             {"loss", finite_or_null(epoch.training_loss)},
                             {"accuracy", finite_or_null(epoch.training_accuracy)},
                             {"val_loss", finite_or_null(epoch.validation_loss)},
                             {"val_accuracy", finite_or_null(epoch.validation_accuracy)}});
  }
  json["rows"].push_back(std::move(row));
  return json;
}

std::string FinetuneResult::to_text() const {
  std::string text =
      fmt::format("{} by fine-tuning: trained on {} ({}, {} classes), tested on {} ({})\n",
                  to_string(options.rank), format_count(train_count), options.train,
                  format_count(classes), format_count(test_count), options.test);
  text +=
      fmt::format("{} epochs, chosen on {} ({}), {} of which have a label that is not trained on\n",
                  epochs.empty() ? 0 : epochs.back().epoch, format_count(val_count), options.val,
                  format_count(val_unknown));
  text += left_out_line(left_out, "records");
  text +=
      fmt::format("{} test records have a label that is not trained on; they count as wrong\n\n",
                  format_count(scores.unreachable));
  const std::size_t width = std::max<std::size_t>(name.size(), 4);
  text += fmt::format(
      "{:<{}}  accuracy %  balanced %  macro F1 %  weighted F1 %  val %  epoch  seconds\n", "",
      width);
  text += fmt::format(
      "{:<{}}  {:>10.2f}  {:>10.2f}  {:>10.2f}  {:>13.2f}  {:>5.2f}  {:>5}  {:>7.0f}\n", name,
      width, 100 * scores.accuracy, 100 * scores.balanced_accuracy, 100 * scores.macro_f1,
      100 * scores.weighted_f1, 100 * validation_accuracy, best_epoch, seconds);
  return text;
}

}  // namespace barcodemae
