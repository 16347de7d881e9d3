// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/class_report.h"
#include "cli/command.h"
#include "cli/evaluation_options.h"
#include "evaluation/linear.h"

namespace barcodemae {
namespace {

struct LinearCommandOptions : EvaluationOptions {
  std::vector<std::string> train_npy, val_npy, test_npy;
  std::string protocol = "default";
  std::vector<double> learning_rates;
  std::optional<double> weight_decay;
  std::optional<int> batch, epochs, patience;
  LinearOptions linear;
};

Report report_of(const LinearResult& result) {
  Report report(fmt::format("{} by linear probe", to_string(result.rank)),
                fmt::format("trained on {} ({}), {} classes; tested on {} ({})", result.train_count,
                            result.train, result.classes, result.test_count, result.test));
  BarChart bars;
  bars.title = "Accuracy of the linear probe";
  bars.value_label = fmt::format("{} accuracy, %", to_string(result.rank));
  bars.maximum = 100;
  LineChart curves;
  curves.title = "While training";
  curves.x_label = "epoch";
  curves.y_label = fmt::format("accuracy on {}, %", result.val);
  Table table;
  table.columns = {"Features", "Accuracy %", "Balanced %",    "Macro F1 %", "Weighted F1 %",
                   "Val %",    "Epoch",      "Learning rate", "Seconds"};
  for (const LinearRow& row : result.rows) {
    bars.bars.push_back({row.name, 100 * row.scores.accuracy, &row == &result.rows.front()});
    LineChart::Series curve;
    curve.name = row.name;
    for (std::size_t epoch = 0; epoch < row.epochs.size(); ++epoch) {
      curve.points.emplace_back(static_cast<double>(epoch + 1),
                                100 * row.epochs[epoch].validation_accuracy);
    }
    curves.series.push_back(std::move(curve));
    table.rows.push_back({row.name, fmt::format("{:.2f}", 100 * row.scores.accuracy),
                          fmt::format("{:.2f}", 100 * row.scores.balanced_accuracy),
                          fmt::format("{:.2f}", 100 * row.scores.macro_f1),
                          fmt::format("{:.2f}", 100 * row.scores.weighted_f1),
                          fmt::format("{:.2f}", 100 * row.validation_accuracy),
                          std::to_string(row.best_epoch), fmt::format("{}", row.learning_rate),
                          fmt::format("{:.0f}", row.seconds)});
  }
  report.add_bar_chart(bars);
  report.add_line_chart(curves);
  report.add_table(table);
  const LinearRow& first = result.rows.front();
  const Table hardest = hardest_classes(first.name, first.scores, result.label_names);
  if (!hardest.rows.empty()) report.add_table(hardest);
  return report;
}

void choose_protocol(LinearCommandOptions& options) {
  LinearOptions& linear = options.linear;
  if (options.protocol == "reference") {
    linear.probe = reference_protocol();
    linear.learning_rates = {kReferenceLearningRate};
  }
  linear.probe.seed = options.seed;
  if (!options.learning_rates.empty()) linear.learning_rates = options.learning_rates;
  linear.probe.weight_decay = options.weight_decay.value_or(linear.probe.weight_decay);
  linear.probe.batch = options.batch.value_or(linear.probe.batch);
  linear.probe.epochs = options.epochs.value_or(linear.probe.epochs);
  linear.probe.patience = options.patience.value_or(linear.probe.patience);
}

LinearResult run(const CLI::App& command, LinearCommandOptions& options,
                 Communicator& communicator) {
  if (!options.train_npy.empty()) {
    refuse_idle(command, {"--train", "--val", "--test", "--baseline-kmer"},
                "files of embeddings have no splits and no baselines");
    refuse_reading_options(command);
  }
  if (options.no_baselines) refuse_idle(command, {"--baseline-kmer"}, "there are no baselines");
  choose_protocol(options);
  options.linear.rank = options.checked_rank();
  options.linear.baselines = !options.no_baselines;
  options.linear.seed = options.seed;
  if (!options.train_npy.empty()) {
    const auto files = [](const std::vector<std::string>& names) {
      return EmbeddingFiles{names[0], names[1]};
    };
    return evaluate_linear(
        LinearFiles{files(options.train_npy), files(options.val_npy), files(options.test_npy)},
        options.linear, communicator);
  }
  const std::filesystem::path model = options.resolve(
      communicator,
      "evaluate linear needs MODEL and DATA, or --train-npy, --val-npy and --test-npy\n"
      "Example: barcodemae evaluate linear runs/small barcodes.csv --rank species");
  options.linear.features = options.features;
  return evaluate_linear(model, options.data, options.linear, communicator);
}

void add_options(CLI::App& command, LinearCommandOptions& options) {
  add_model_and_data(command, options);
  command.add_option("--train", options.linear.train, "Split(s) to train on, joined with +")
      ->capture_default_str();
  command.add_option("--val", options.linear.val, "Split(s) to stop and choose by")
      ->capture_default_str();
  command.add_option("--test", options.linear.test, "Split(s) to report on")->capture_default_str();
  command.add_option("--rank", options.rank, "Rank to identify: order … genus, species, dna_bin")
      ->capture_default_str();
  command
      .add_option("--protocol", options.protocol,
                  "default: standardised features, AdamW, stopped on --val; reference: "
                  "BarcodeBERT's (SGD, learning rate 1, 200 epochs, one mean and deviation for all "
                  "features)")
      ->check(CLI::IsMember({"default", "reference"}))
      ->capture_default_str();
  within(by_commas(command.add_option(
             "--lr", options.learning_rates,
             "Learning rates to try, by commas; the best on --val counts. Default: "
             "0.003,0.01; reference: 1")),
         1e-9, 1000);
  within(command.add_option("--weight-decay", options.weight_decay,
                            "Default: 0.01, decoupled; reference: 1e-9 on the gradient"),
         0, 1000);
  whole(command.add_option(
            "--batch", options.batch,
            "Rows of a step; default: 1024, or fewer for an epoch of 32 steps, but 16 at least"),
        1, 1 << 20);
  whole(command.add_option("--epochs", options.epochs,
                           "Passes over the training rows, at most; default: 30; reference: 200"),
        1, 100000);
  whole(command.add_option(
            "--patience", options.patience,
            "Stop after so many epochs (of 64 steps at least, together) without a better "
            "accuracy on --val and keep the best; 0: never, and keep the last. "
            "Default: 3; reference: 0"),
        0, 100000);
  whole(command.add_option("--baseline-kmer", options.linear.baseline_kmer,
                           "k of the baseline's k-mer counts, 4^k features: 4 is 16 times as fast "
                           "as 6"),
        1, 7)
      ->capture_default_str();
  CLI::Option* train =
      command
          .add_option("--train-npy", options.train_npy,
                      "Embeddings made elsewhere: T.npy and T.tsv with a header and labels")
          ->expected(2)
          ->excludes("MODEL")
          ->excludes("DATA");
  CLI::Option* val =
      command.add_option("--val-npy", options.val_npy, "The same for --val")->expected(2);
  CLI::Option* test =
      command.add_option("--test-npy", options.test_npy, "The same for --test")->expected(2);
  train->needs(val)->needs(test);
  val->needs(train);
  test->needs(train);
  add_per_class_option(command, options);
  add_per_record_option(command, options, "record of --test: its label and the answer");
  add_evaluation_options(command, options);
}

}  // namespace

void add_evaluate_linear_command(CLI::App& evaluate, Communicator& communicator) {
  auto options = std::make_shared<LinearCommandOptions>();
  options->rank = "species";
  CLI::App* command = evaluate.add_subcommand(
      "linear", "A linear classifier on frozen features, beside baselines that need no training");
  add_options(*command, *options);
  command->footer(
      "Examples:\n"
      "  barcodemae evaluate linear runs/small barcodes.csv.zst --report linear.html\n"
      "  barcodemae evaluate linear coi-small barcodes.csv --lr 0.0003,0.001,0.003 "
      "--no-baselines\n"
      "  barcodemae evaluate linear coi-small barcodes.csv --protocol reference --json out.json\n"
      "  barcodemae evaluate linear --train-npy T.npy T.tsv --val-npy V.npy V.tsv --test-npy E.npy "
      "E.tsv");
  command->callback([options, command, &communicator] {
    options->require_writable_results(communicator);
    const LinearResult result = run(*command, *options, communicator);
    options->write_tables(communicator, result);
    options->write_results(communicator, result.to_text(), result.to_json(),
                           [&] { return report_of(result); });
  });
}

}  // namespace barcodemae
