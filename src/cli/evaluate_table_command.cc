// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/fingerprint.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/evaluation_options.h"
#include "cli/finetune_run.h"
#include "cli/table_report.h"
#include "evaluation/table.h"
#include "formats/json.h"

namespace barcodemae {
namespace {

const std::vector<std::string> kBaselines = {"random",  "kmer",  "sites",
                                             "aligned", "blast", "vsearch"};

struct TableCommandOptions : EvaluationOptions {
  std::vector<std::string> words, tasks, baselines = kBaselines;
  std::string out, unseen_rank = "genus", cluster_rank = "dna_bin", map_rank = "order";
  bool no_published = false;
  TableOptions table;
  FinetuneOptions finetune;
};

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const TableTask task : all_table_tasks()) names.emplace_back(to_string(task));
  return names;
}

/// A run of its own for each encoder, so that it is resumable; its folder is named by all it
/// follows from, so that another table finds it too.
ClassificationCell fine_tuned(const std::filesystem::path& model, bool from_scratch,
                              const TableCommandOptions& options, Communicator& communicator) {
  FinetuneOptions finetune = options.finetune;
  finetune.from_scratch = from_scratch;
  Fingerprint name;
  name.add(to_json(finetune, model_fingerprint(model)).dump());
  const std::filesystem::path out = std::filesystem::path(options.out) / "finetuned" / name.hex();
  log_info("Fine-tuning {}{}, in {}", model.string(), from_scratch ? ", from scratch" : "",
           out.string());
  const FinetuneResult result = finetune_until_signal(model, options.data, out, finetune,
                                                      options.compute.device, communicator);
  ClassificationCell cell = cell_of(result.scores, result.train_count);
  cell.seconds = result.seconds;
  cell.validation_accuracy = result.validation_accuracy;
  cell.wrong = result.wrong;
  return cell;
}

void add_fine_tuning(TableCommandOptions& options, Communicator& communicator) {
  TableOptions& table = options.table;
  if (table.development) {
    throw UserError(
        "--tasks finetune: a fine-tuning stops by {}, which --development would report on\n"
        "Leave one of them out. evaluate finetune prints the accuracy on {} of every epoch.",
        table.val, table.val);
  }
  FinetuneOptions& finetune = options.finetune;
  finetune.train = table.train;
  finetune.val = table.val;
  finetune.test = table.test;
  finetune.rank = table.rank;
  finetune.features = table.features;
  finetune.seed = options.seed;
  table.finetune_identity = fmt::format("{} on {}", to_json(finetune, "").dump(), finetune.test);
  table.finetune = [&](const std::filesystem::path& model, bool from_scratch) {
    return fine_tuned(model, from_scratch, options, communicator);
  };
}

/// Options of tasks and baselines that are not asked for.
void refuse_idle_options(const CLI::App& command, const TableCommandOptions& options) {
  const auto without = [&](TableTask task) { return options.table.tasks.count(task) == 0; };
  if (without(TableTask::kLinear)) refuse_idle(command, {"--lr", "--epochs"}, "there is no probe");
  if (without(TableTask::kMap)) {
    refuse_idle(command, {"--map-rank", "--map-points"}, "there are no maps");
    if (without(TableTask::kClustering)) {
      refuse_idle(command, {"--neighbours", "--min-dist"}, "UMAP is not asked for");
    }
  }
  if (without(TableTask::kClustering)) {
    refuse_idle(command, {"--components"}, "UMAP before clustering is not asked for");
    if (without(TableTask::kWard)) {
      refuse_idle(command, {"--cluster-rank"}, "nothing is clustered");
    }
  }
  if (without(TableTask::kUnseen) && without(TableTask::kCost)) {
    refuse_idle(command, {"--unseen-rank"}, "nothing is asked of unseen species");
  }
  if (without(TableTask::kSpecies) && without(TableTask::kLinear) &&
      without(TableTask::kFinetune)) {
    refuse_idle(command, {"--rank"}, "no task is of the closed world");
  }
  if (without(TableTask::kFinetune)) {
    refuse_idle(command, {"--finetune-epochs"}, "--tasks does not name finetune");
  }
  if (options.no_baselines) {
    refuse_idle(command, {"--baselines", "--baseline-kmer"}, "--no-baselines leaves them out");
  } else if (std::find(options.baselines.begin(), options.baselines.end(), "kmer") ==
             options.baselines.end()) {
    refuse_idle(command, {"--baseline-kmer"}, "--baselines does not name kmer");
  }
}

TableResult run(TableCommandOptions& options, const CLI::App& command, Communicator& communicator) {
  TableOptions& table = options.table;
  table.rank = parse_rank_option("--rank", options.rank);
  table.unseen_rank = parse_rank_option("--unseen-rank", options.unseen_rank);
  table.cluster_rank = parse_rank_option("--cluster-rank", options.cluster_rank);
  table.map_rank = parse_rank_option("--map-rank", options.map_rank);
  constexpr const char* kAdvice =
      "evaluate table needs MODEL … DATA and --out DIR\n"
      "Example: barcodemae evaluate table runs/small coi-small barcodes.csv --out tables/small";
  if (options.words.size() < 2 || options.out.empty()) throw UserError("{}", kAdvice);
  const std::vector<TableSource> sources =
      parse_table_sources({options.words.begin(), options.words.end() - 1});
  options.resolve_features(communicator);
  table.features = options.features;
  if (table.development) {
    table.test = "val";
    table.unseen = "val_unseen";
  }
  if (!options.tasks.empty()) {
    table.tasks.clear();
    for (const TableTask task : all_table_tasks()) {
      const auto named = std::find(options.tasks.begin(), options.tasks.end(), to_string(task));
      if (named != options.tasks.end()) table.tasks.insert(task);
    }
  }
  refuse_idle_options(command, options);
  if (table.tasks.count(TableTask::kFinetune) > 0) add_fine_tuning(options, communicator);
  table.random_baseline = false;
  table.baselines.names.clear();
  for (const std::string& name : kBaselines) {
    const bool wanted = !options.no_baselines &&
                        std::find(options.baselines.begin(), options.baselines.end(), name) !=
                            options.baselines.end();
    if (!wanted) continue;
    if (name == "random") {
      table.random_baseline = true;
    } else {
      table.baselines.names.push_back(name);
    }
  }
  table.published = !options.no_published;
  table.umap.seed = table.probe.seed = options.seed;
  const std::filesystem::path folder = options.out;
  table.cells = folder / "cells";
  return evaluate_table(sources, options.data, table, communicator);
}

}  // namespace

void add_evaluate_table_command(CLI::App& evaluate, Communicator& communicator) {
  auto options = std::make_shared<TableCommandOptions>();
  options->rank = "species";
  TableOptions& table = options->table;
  CLI::App* command = evaluate.add_subcommand(
      "table", "The paper's table: every evaluation, any number of models, baselines, one page");
  command->add_option("MODEL DATA", options->words,
                      "Models (directories or shipped names; NAME=MODEL names a row), embeddings "
                      "made elsewhere (NAME=K.npy,K.tsv,Q.npy,Q.tsv), and last the barcodes with a "
                      "split column (CSV or TSV)");
  command->add_option("--out", options->out,
                      "Folder for table.txt, table.csv, table.json, report.html and the finished "
                      "cells; a repeated command goes on from there");
  by_commas(command->add_option(
                "--tasks", options->tasks,
                "Only these, by commas: unseen (1-NN), species (1-NN), linear (probe), "
                "clustering (UMAP and Ward), ward (without UMAP), cost, map, finetune; default: "
                "all but finetune, which trains every encoder"))
      ->check(CLI::IsMember(task_names()));
  CLI::Option* development = command->add_flag(
      "--development", table.development,
      "Report on val and val_unseen: to choose options without looking at the test splits");
  command->add_option("--train", table.train, "Split(s) of keys and of the probe, joined with +")
      ->capture_default_str();
  command->add_option("--val", table.val, "Split(s) on which the probe stops")
      ->capture_default_str();
  command->add_option("--test", table.test, "Split(s) of the closed world")
      ->capture_default_str()
      ->excludes(development);
  command->add_option("--unseen", table.unseen, "Split(s) of unseen species")
      ->capture_default_str()
      ->excludes(development);
  command->add_option("--rank", options->rank, "Rank of the closed world")->capture_default_str();
  command->add_option("--unseen-rank", options->unseen_rank, "Rank asked of unseen species")
      ->capture_default_str();
  command->add_option("--cluster-rank", options->cluster_rank, "Labels that clusters bring back")
      ->capture_default_str();
  command->add_option("--map-rank", options->map_rank, "Rank that colours the maps")
      ->capture_default_str();
  whole(command->add_option("--map-points", table.map_points, "Records in a map"), 3, 100'000)
      ->capture_default_str();
  by_commas(
      command->add_option("--baselines", options->baselines,
                          "By commas: random (encoder), kmer (counts), sites (centred), aligned "
                          "(identity), and blast, vsearch where they are installed"))
      ->check(CLI::IsMember(kBaselines))
      ->capture_default_str();
  whole(command->add_option("--baseline-kmer", table.baselines.kmer, "k of kmer"), 1, 8)
      ->capture_default_str();
  command->add_flag("--no-published", options->no_published, "Without the quoted rows");
  whole(command->add_option("--components", table.umap.components, "Dimensions after UMAP"), 1,
        1024)
      ->capture_default_str();
  whole(command->add_option("--neighbours", table.umap.neighbours,
                            "Of UMAP's graph, each record itself counted"),
        2, 1024)
      ->capture_default_str();
  within(command->add_option("--min-dist", table.umap.min_dist,
                             "How close UMAP puts what belongs together"),
         0, 1)
      ->capture_default_str();
  within(by_commas(command->add_option(
             "--lr", table.learning_rates,
             "Learning rates of the probe, by commas; the best on --val is reported")),
         1e-9, 1000)
      ->capture_default_str();
  whole(command->add_option("--epochs", table.probe.epochs, "Most epochs of the probe"), 1, 10'000)
      ->capture_default_str();
  whole(command->add_option("--finetune-epochs", options->finetune.epochs,
                            "Most epochs of a fine-tuning"),
        1, 10'000)
      ->capture_default_str();
  add_evaluation_options(*command, *options);
  command->footer(
      "Published rows are quoted, with their source; they are of BIOSCAN-5M.\n"
      "Choose options with --development, then report without it.\n"
      "Examples:\n"
      "  barcodemae evaluate table runs/small coi-small barcodes.csv.zst --out tables/first\n"
      "  barcodemae evaluate table mae=runs/mae mlm=runs/mlm barcodes.csv --out tables/objectives "
      "--development\n"
      "  barcodemae evaluate table coi-small DNABERT=K.npy,K.tsv,Q.npy,Q.tsv barcodes.csv --out t "
      "--tasks unseen,species");
  command->callback([options, command, &communicator] {
    if (!options->words.empty()) options->data = options->words.back();
    options->require_writable_results(communicator);
    const TableResult result = run(*options, *command, communicator);
    if (communicator.rank() == 0) {
      const std::filesystem::path folder = options->out;
      write_file_atomically(folder / "table.txt", result.to_text());
      write_file_atomically(folder / "table.csv", result.to_csv());
      table_report(result).write(folder / "report.html");
    }
    options->write_results(
        communicator, result.to_text(), result.to_json(), [&] { return table_report(result); },
        std::filesystem::path(options->out) / "table.json");
  });
}

}  // namespace barcodemae
