// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "cli/evaluation_options.h"
#include "evaluation/knn.h"

namespace barcodemae {
namespace {

struct KnnCommandOptions : EvaluationOptions {
  std::vector<std::string> keys_npy, queries_npy;
  KnnOptions knn;
};

Report report_of(const KnnResult& result) {
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
  return report;
}

KnnResult run(KnnCommandOptions& options, Communicator& communicator) {
  options.knn.rank = options.checked_rank();
  options.knn.baselines = !options.no_baselines;
  options.knn.seed = options.seed;
  if (!options.keys_npy.empty()) {
    return evaluate_knn(EmbeddingFiles{options.keys_npy[0], options.keys_npy[1]},
                        EmbeddingFiles{options.queries_npy[0], options.queries_npy[1]}, options.knn,
                        communicator);
  }
  const std::filesystem::path model =
      options.resolve(communicator,
                      "evaluate knn needs MODEL and DATA, or --keys-npy and --queries-npy\n"
                      "Example: barcodemae evaluate knn runs/small barcodes.csv --keys train "
                      "--queries test_unseen");
  options.knn.features = options.features;
  return evaluate_knn(model, options.data, options.knn, communicator);
}

}  // namespace

void add_evaluate_knn_command(CLI::App& evaluate, Communicator& communicator) {
  auto options = std::make_shared<KnnCommandOptions>();
  options->rank = "genus";
  CLI::App* command = evaluate.add_subcommand(
      "knn", "Label of the nearest key by cosine, beside baselines that need no training");
  add_model_and_data(*command, *options);
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
  add_evaluation_options(*command, *options);
  command->footer(
      "Examples:\n"
      "  barcodemae evaluate knn runs/small barcodes.csv.zst\n"
      "  barcodemae evaluate knn coi-small barcodes.csv --queries val_unseen --centre --json "
      "out.json\n"
      "  barcodemae evaluate knn --keys-npy K.npy K.tsv --queries-npy Q.npy Q.tsv --rank family");
  command->callback([options, &communicator] {
    options->require_writable_results(communicator);
    const KnnResult result = run(*options, communicator);
    options->write_results(communicator, result.to_text(), result.to_json(),
                           [&] { return report_of(result); });
  });
}

}  // namespace barcodemae
