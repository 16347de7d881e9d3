// SPDX-License-Identifier: MIT
#include "train/training_report.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "report/report.h"

namespace barcodemae {
namespace {

/// The lines of metrics.jsonl of one kind.
std::vector<nlohmann::json> read_metrics(const RunDirectory& directory, const std::string& kind) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(directory.metrics_file());
  for (std::string text; std::getline(file, text);) {
    nlohmann::json line = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (line.is_object() && line.value("kind", "") == kind) lines.push_back(std::move(line));
  }
  return lines;
}

LineChart::Series series(const std::string& name, const std::vector<nlohmann::json>& lines,
                         const char* key, double scale = 1, bool reference = false) {
  LineChart::Series curve{name, {}, reference};
  for (const nlohmann::json& line : lines) {
    const bool known = line.contains(key) && line[key].is_number();
    curve.points.emplace_back(
        line.value("barcodes", 0.0),
        known ? scale * line[key].get<double>() : std::numeric_limits<double>::quiet_NaN());
  }
  return curve;
}

bool any_number(const std::vector<nlohmann::json>& lines, const char* key) {
  return std::any_of(lines.begin(), lines.end(), [&](const nlohmann::json& line) {
    return line.contains(key) && line[key].is_number();
  });
}

/// Names of the auxiliary losses, by the lines' keys.
std::vector<std::string> auxiliary_names(const std::vector<nlohmann::json>& lines) {
  std::vector<std::string> names;
  if (lines.empty()) return names;
  const std::string suffix = "_loss";
  for (const auto& [key, value] : lines.front().items()) {
    const std::string start = key.substr(0, key.find('_'));
    if (parse_rank(start) && key.ends_with(suffix)) {
      names.push_back(key.substr(0, key.size() - suffix.size()));
    }
  }
  return names;
}

std::string as_text(const nlohmann::ordered_json& value) {
  if (value.is_null()) return "–";
  if (!value.is_string()) return value.dump();
  const auto text = value.get<std::string>();
  return text.empty() ? "default" : text;
}

/// Names and keys of what the run was trained to do (its metrics.jsonl, --objective).
struct Task {
  std::string loss = "masked loss", loss_key = "masked_loss";
  std::string accuracy = "Masked-token accuracy", accuracy_key = "masked_accuracy";
};

Task task_of(const RunRecord& run) {
  if (run.options.value("objective", "mae") != to_string(ObjectiveKind::kCausalLanguageModel)) {
    return {};
  }
  return {"next-token loss", "next_token_loss", "Next-token accuracy", "next_token_accuracy"};
}

void add_validations(Report& report, const std::vector<nlohmann::json>& validations,
                     const Task& task) {
  Table table{"Validations (fixed masks, frame offset 0)",
              {"step", "barcodes", task.loss, "by site", "accuracy, %", "effective rank",
               "mean cosine", "genus 1-NN, %", "centred, %", "best"},
              {}};
  const auto number = [](const nlohmann::json& line, const char* key, double scale, int digits) {
    const auto value = line.find(key);
    if (value == line.end() || !value->is_number()) return std::string("–");
    return fmt::format("{:.{}f}", scale * value->get<double>(), digits);
  };
  for (const nlohmann::json& line : validations) {
    table.rows.push_back(
        {format_count(line.value("step", std::int64_t{0})),
         format_count(line.value("barcodes", std::int64_t{0})),
         number(line, task.loss_key.c_str(), 1, 4), number(line, "site_frequency_loss", 1, 4),
         number(line, task.accuracy_key.c_str(), 100, 2), number(line, "effective_rank", 1, 1),
         number(line, "mean_cosine", 1, 4), number(line, "genus_accuracy", 100, 1),
         number(line, "genus_accuracy_centred", 100, 1), line.value("best", false) ? "yes" : ""});
  }
  report.add_table(table);
}

}  // namespace

void write_training_report(const RunDirectory& directory, const RunRecord& run) {
  const std::vector<nlohmann::json> steps = read_metrics(directory, "train");
  const std::vector<nlohmann::json> validations = read_metrics(directory, "validation");
  Report report("Pretraining of a BarcodeMAE",
                fmt::format("barcodemae {}, {}", run.version, run.data_file));

  const Task task = task_of(run);
  const char* const loss = task.loss_key.c_str();
  const char* const accuracy = task.accuracy_key.c_str();
  std::string title = task.loss;
  title.front() = static_cast<char>(std::toupper(title.front()));
  report.add_line_chart(
      {title,
       "barcodes seen",
       "nats per k-mer",
       {series("training", steps, loss), series("validation", validations, loss),
        series("by site frequencies", validations, "site_frequency_loss", 1, true)}});
  report.add_line_chart({task.accuracy,
                         "barcodes seen",
                         "%",
                         {series("training", steps, accuracy, 100),
                          series("validation", validations, accuracy, 100)}});
  if (any_number(validations, "genus_accuracy")) {
    report.add_line_chart({"Genus of unseen species, cosine 1-NN",
                           "barcodes seen",
                           "%",
                           {series("embeddings", validations, "genus_accuracy", 100),
                            series("centred", validations, "genus_accuracy_centred", 100)}});
  }
  for (const std::string& name : auxiliary_names(steps)) {
    report.add_line_chart({"Auxiliary loss: " + name,
                           "barcodes seen",
                           "loss",
                           {series("training", steps, (name + "_loss").c_str())}});
  }
  report.add_line_chart({"Effective rank of the embeddings",
                         "barcodes seen",
                         "dimensions",
                         {series("effective rank", validations, "effective_rank")}});
  report.add_line_chart({"Mean pairwise cosine of the embeddings",
                         "barcodes seen",
                         "cosine",
                         {series("mean cosine", validations, "mean_cosine")}});
  report.add_line_chart({"Learning rate",
                         "barcodes seen",
                         "learning rate",
                         {series("learning rate", steps, "learning_rate")}});
  report.add_line_chart({"Gradient norm",
                         "barcodes seen",
                         "norm before clipping",
                         {series("gradient norm", steps, "gradient_norm")},
                         Axis::kLinear,
                         Axis::kLog});
  report.add_heading("Validations");
  add_validations(report, validations, task);

  report.add_heading("Options");
  std::vector<std::pair<std::string, std::string>> facts = {
      {"data fingerprint", run.data_fingerprint}, {"steps", format_count(run.total_steps)}};
  for (const auto& [name, value] : run.options.items()) facts.emplace_back(name, as_text(value));
  report.add_facts(facts);
  try {
    report.write(directory.report_file());
  } catch (const UserError& error) {  // no reason to end a training
    log_warn("no report of the training: {}", error.what());
  }
}

}  // namespace barcodemae
