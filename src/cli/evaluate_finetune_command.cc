// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.h"
#include "cli/class_report.h"
#include "cli/command.h"
#include "cli/evaluation_options.h"
#include "cli/finetune_run.h"

namespace barcodemae {
namespace {

struct FinetuneCommandOptions : EvaluationOptions {
  std::string out;
  FinetuneOptions finetune;
};

Report report_of(const FinetuneResult& result) {
  Report report(
      fmt::format("{} by fine-tuning", to_string(result.options.rank)),
      fmt::format("trained on {} ({}), {} classes; tested on {} ({})", result.train_count,
                  result.options.train, result.classes, result.test_count, result.options.test));
  const auto percent = [](double value) { return fmt::format("{:.2f}", 100 * value); };
  Table table;
  table.columns = {"Model",         "Accuracy %", "Balanced %", "Macro F1 %",
                   "Weighted F1 %", "Val %",      "Epoch",      "Seconds"};
  table.rows.push_back({result.name, percent(result.scores.accuracy),
                        percent(result.scores.balanced_accuracy), percent(result.scores.macro_f1),
                        percent(result.scores.weighted_f1), percent(result.validation_accuracy),
                        std::to_string(result.best_epoch), fmt::format("{:.0f}", result.seconds)});
  report.add_table(table);
  report.add_text(fmt::format(
      "{} of the {} test records and {} of the {} of validation have a label that is not trained "
      "on; they count as wrong.",
      result.scores.unreachable, result.test_count, result.val_unknown, result.val_count));
  add_curves(report, result.epochs);
  const Table hardest = hardest_classes(result.name, result.scores, result.label_names);
  if (!hardest.rows.empty()) report.add_table(hardest);
  return report;
}

FinetuneResult run(FinetuneCommandOptions& options, Communicator& communicator) {
  FinetuneOptions& finetune = options.finetune;
  if (options.compute.precision == "int8") {
    throw UserError("--precision int8: is for inference alone\nGive f32, bf16 or auto.");
  }
  options.compute.precision =
      precision_of_run(options.out, options.compute.precision, communicator);
  const std::filesystem::path model = options.resolve(
      communicator,
      "evaluate finetune needs MODEL and DATA\n"
      "Example: barcodemae evaluate finetune runs/small barcodes.csv --out runs/species");
  finetune.rank = options.checked_rank();
  finetune.seed = options.seed;
  finetune.features = options.features;
  return finetune_until_signal(model, options.data, options.out, finetune, options.compute.device,
                               communicator);
}

void add_options(CLI::App& command, FinetuneCommandOptions& options) {
  FinetuneOptions& finetune = options.finetune;
  add_model_and_data(command, options);
  command
      .add_option("--out", options.out,
                  "Folder of the run, its model and its head; the same command again resumes it")
      ->required()
      ->type_name("DIR");
  command.add_option("--train", finetune.train, "Split(s) to train on, joined with +")
      ->capture_default_str();
  command.add_option("--val", finetune.val, "Split(s) to stop and choose by")
      ->capture_default_str();
  command
      .add_option("--test", finetune.test,
                  "Split(s) to report on; a finished run can be asked about others")
      ->capture_default_str();
  command.add_option("--rank", options.rank, "Rank to identify: order … genus, species, dna_bin")
      ->capture_default_str();
  command.add_flag("--from-scratch", finetune.from_scratch,
                   "Random weights in place of the model's: what pretraining is worth");
  command.add_flag("--random-head", finetune.random_head,
                   "Begin with a random head; default: with that of a linear probe");
  whole(
      command.add_option("--epochs", finetune.epochs, "Passes over the training records, at most"),
      1, 10000)
      ->capture_default_str();
  whole(command.add_option(
            "--patience", finetune.patience,
            "Stop after so many epochs without a better one on --val, by accuracy, then "
            "by loss; 0: never. The best is kept"),
        0, 10000)
      ->capture_default_str();
  whole(command.add_option("--batch", finetune.batch, "Barcodes of a step"), 1, 1 << 20)
      ->capture_default_str();
  whole(command.add_option("--micro-batch", finetune.micro_batch, "Barcodes in memory at a time"),
        1, 1 << 20)
      ->capture_default_str();
  within(command.add_option("--lr", finetune.lr,
                            "Peak learning rate, of the head; then down to 0 by a cosine"),
         1e-9, 1000)
      ->capture_default_str();
  within(command.add_option("--encoder-lr-factor", finetune.encoder_lr_factor,
                            "The encoder's learning rate, as a share of --lr; 0: it stays frozen"),
         0, 1000)
      ->capture_default_str();
  within(command.add_option("--warmup", finetune.warmup,
                            "Share of all steps in which the learning rate rises"),
         0, 1)
      ->capture_default_str();
  within(command.add_option("--weight-decay", finetune.weight_decay, "Of all weights, decoupled"),
         0, 1000)
      ->capture_default_str();
  within(command.add_option("--clip", finetune.clip, "Largest gradient norm; 0: no clipping"), 0,
         1e9)
      ->capture_default_str();
  within(command.add_option("--checkpoint-minutes", finetune.checkpoint_minutes,
                            "Minutes between checkpoints"),
         0, 1e6)
      ->capture_default_str();
  add_cache_option(command, options);
  add_per_class_option(command, options);
  add_per_record_option(command, options, "record of --test: its label and the answer");
  add_result_options(command, options);
}

}  // namespace

void add_evaluate_finetune_command(CLI::App& evaluate, Communicator& communicator) {
  auto options = std::make_shared<FinetuneCommandOptions>();
  options->rank = "species";
  options->features.pooling = "mean";
  CLI::App* command =
      evaluate.add_subcommand("finetune", "The whole encoder and a linear head, trained on labels");
  add_options(*command, *options);
  command->footer(
      "Examples:\n"
      "  barcodemae evaluate finetune coi-small barcodes.csv.zst --out runs/species\n"
      "  barcodemae evaluate finetune coi-small barcodes.csv --out runs/genus --rank genus --test "
      "test_unseen\n"
      "  barcodemae evaluate finetune coi-small barcodes.csv --out runs/control --from-scratch\n"
      "  barcodemae evaluate knn runs/species barcodes.csv   # the fine-tuned encoder's features\n"
      "Killed or interrupted, the same command goes on and ends with the same weights. DIR holds "
      "a\n"
      "model directory with the best epoch's encoder, its head (classifier.safetensors,\n"
      "classes.json) and report.html.");
  command->callback([options, command, &communicator] {
    if (!options->finetune.begins_with_probe()) {
      refuse_idle(*command, {"--no-cache"},
                  "without a linear probe at the beginning no embeddings are kept");
    }
    options->require_writable_results(communicator);
    const FinetuneResult result = run(*options, communicator);
    options->write_tables(communicator, result);
    if (communicator.rank() == 0) {
      report_of(result).write(std::filesystem::path(options->out) / "report.html");
    }
    options->write_results(communicator, result.to_text(), result.to_json(),
                           [&] { return report_of(result); });
  });
}

}  // namespace barcodemae
