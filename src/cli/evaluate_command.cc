// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "evaluation/embedding_cache.h"
#include "evaluation/knn.h"
#include "formats/model_directory.h"
#include "report/report.h"

namespace barcodemae {
namespace {

struct KnnCommandOptions {
  std::string model, data;
  std::vector<std::string> keys_npy, queries_npy;
  std::string rank = "genus";
  bool no_baselines = false, no_cache = false;
  std::string json, report;
  KnnOptions knn;
  ComputeOptions compute;
};

Rank checked_rank(const std::string& name) {
  const std::optional<Rank> rank = parse_rank(name);
  if (!rank) {
    throw UserError(
        "--rank {}: no such rank\nChoose kingdom, phylum, class, order, family, subfamily, "
        "genus, species or dna_bin.",
        name);
  }
  return *rank;
}

void write_report(const KnnResult& result, const std::filesystem::path& path) {
  Report report(fmt::format("{} by nearest neighbour", to_string(result.rank)),
                fmt::format("{} queries ({}) against {} keys ({})", result.query_count,
                            result.queries, result.key_count, result.keys));
  BarChart chart;
  chart.title = "Accuracy of the nearest neighbour";
  chart.value_label = fmt::format("{} accuracy, %", to_string(result.rank));
  chart.maximum = 100;
  Table table;
  table.columns = {"Features", "Accuracy %", "Balanced %", "Macro F1 %",
                   "Effective rank of the keys"};
  for (const KnnRow& row : result.rows) {
    chart.bars.push_back({row.name, 100 * row.scores.accuracy, &row == &result.rows.front()});
    table.rows.push_back({row.name, fmt::format("{:.2f}", 100 * row.scores.accuracy),
                          fmt::format("{:.2f}", 100 * row.scores.balanced_accuracy),
                          fmt::format("{:.2f}", 100 * row.scores.macro_f1),
                          row.effective_rank ? fmt::format("{:.1f}", *row.effective_rank) : "–"});
  }
  report.add_bar_chart(chart);
  report.add_table(table);
  report.write(path);
}

KnnResult run_search(KnnCommandOptions& options, Communicator& communicator) {
  options.knn.rank = checked_rank(options.rank);
  options.knn.baselines = !options.no_baselines;
  if (!options.keys_npy.empty()) {
    return evaluate_knn(EmbeddingFiles{options.keys_npy[0], options.keys_npy[1]},
                        EmbeddingFiles{options.queries_npy[0], options.queries_npy[1]}, options.knn,
                        communicator);
  }
  if (options.model.empty() || options.data.empty()) {
    throw UserError(
        "evaluate knn needs MODEL and DATA, or --keys-npy and --queries-npy\n"
        "Example: barcodemae evaluate knn runs/small barcodes.csv --keys train "
        "--queries test_unseen");
  }
  options.knn.precision = options.compute.resolved(communicator);
  options.knn.device = options.compute.device;
  if (!options.no_cache) options.knn.cache = EmbeddingCache::default_folder();
  print_compute_choice(options.compute, options.knn.precision);
  return evaluate_knn(find_model(options.model), options.data, options.knn, communicator);
}

void add_knn_command(CLI::App& evaluate, Communicator& communicator) {
  auto options = std::make_shared<KnnCommandOptions>();
  CLI::App* command = evaluate.add_subcommand(
      "knn", "Label of the nearest key by cosine, beside baselines that need no training");
  command->add_option("MODEL", options->model, "Model directory, or the name of a shipped model");
  command->add_option("DATA", options->data, "Barcodes with a split column (CSV or TSV)");
  command->add_option("--keys", options->knn.keys, "Split(s) to search in, joined with +")
      ->capture_default_str();
  command->add_option("--queries", options->knn.queries, "Split(s) to identify, joined with +")
      ->capture_default_str();
  command->add_option("--rank", options->rank, "Rank to identify: order … genus, species, dna_bin")
      ->capture_default_str();
  CLI::Option* keys_npy =
      command
          ->add_option("--keys-npy", options->keys_npy,
                       "Embeddings made elsewhere: K.npy and K.tsv with a header and labels")
          ->expected(2)
          ->excludes("MODEL")
          ->excludes("DATA");
  CLI::Option* queries_npy =
      command->add_option("--queries-npy", options->queries_npy, "The same for the queries")
          ->expected(2)
          ->needs(keys_npy);
  keys_npy->needs(queries_npy);
  command->add_flag("--centre", options->knn.centre,
                    "Also subtract the keys' mean first; both rows are printed");
  command->add_flag("--no-baselines", options->no_baselines, "Only the model's rows");
  add_anchor_option(*command, options->knn.anchor);
  add_marker_code_option(*command, options->knn.marker_code);
  whole(command->add_option("--seed", options->knn.seed, "Of the random-initialised encoder"), 0)
      ->capture_default_str();
  command->add_option("--json", options->json,
                      "Write the table to this file as JSON; - for standard output, alone");
  command->add_option("--report", options->report, "Write the table and a chart as HTML");
  command->add_flag("--no-cache", options->no_cache,
                    "Neither read nor write embeddings in $BARCODEMAE_CACHE (~/.cache/barcodemae)");
  add_compute_options(*command, options->compute);
  add_common_options(*command);
  command->footer(
      "Examples:\n"
      "  barcodemae evaluate knn runs/small barcodes.csv.zst\n"
      "  barcodemae evaluate knn coi-small barcodes.csv --queries val_unseen --centre --json "
      "out.json\n"
      "  barcodemae evaluate knn --keys-npy K.npy K.tsv --queries-npy Q.npy Q.tsv --rank family");
  command->callback([options, &communicator] {
    if (communicator.rank() == 0) {
      require_writable(options->json);
      require_writable(options->report);
    }
    const KnnResult result = run_search(*options, communicator);
    if (communicator.rank() != 0) return;
    if (options->json != "-") std::fputs(result.to_text().c_str(), stdout);
    if (!options->json.empty()) write_file_atomically(options->json, result.to_json());
    if (!options->report.empty()) write_report(result, options->report);
  });
}

}  // namespace

void add_evaluate_command(CLI::App& application, Communicator& communicator) {
  CLI::App* evaluate =
      application.add_subcommand("evaluate", "What a model's frozen features are worth");
  evaluate->require_subcommand(1);
  evaluate->footer(
      "Example:\n"
      "  barcodemae evaluate knn coi-small barcodes.csv --keys train --queries test_unseen\n"
      "barcodemae evaluate knn --help shows its options.");
  add_knn_command(*evaluate, communicator);
}

}  // namespace barcodemae
