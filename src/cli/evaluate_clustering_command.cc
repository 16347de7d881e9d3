// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/evaluation_options.h"
#include "evaluation/clustering.h"

namespace barcodemae {
namespace {

struct ClusteringCommandOptions : EvaluationOptions {
  std::vector<std::string> npy;
  std::string reduce = "umap";
  ClusteringOptions clustering;
};

Report report_of(const ClusteringResult& result) {
  Report report(fmt::format("{} by clustering", to_string(result.options.rank)),
                fmt::format("{} records ({}), {} labels, {} clusters", result.records,
                            result.source, result.labels, result.clusters));
  BarChart chart;
  chart.title = "Labels brought back by clusters";
  chart.value_label =
      fmt::format("adjusted mutual information with {}, %", to_string(result.options.rank));
  chart.maximum = 100;
  Table table;
  table.columns = {"Features", "AMI %", "ARI %", "Homogeneity %", "Completeness %", "Seconds"};
  const auto percent = [](double value) { return fmt::format("{:.2f}", 100 * value); };
  for (const ClusteringRow& row : result.rows) {
    // Worse than chance is no bar.
    chart.bars.push_back({row.name, std::max(0.0, 100 * row.scores.adjusted_mutual_information),
                          &row == &result.rows.front()});
    table.rows.push_back({row.name, percent(row.scores.adjusted_mutual_information),
                          percent(row.scores.adjusted_rand_index), percent(row.scores.homogeneity),
                          percent(row.scores.completeness),
                          fmt::format("{:.1f}", row.umap_seconds + row.ward_seconds)});
  }
  report.add_bar_chart(chart);
  report.add_table(table);
  if (result.options.reduce) {
    const UmapOptions& umap = result.options.umap;
    report.add_text(fmt::format(
        "UMAP to {} dimensions (cosine, {} neighbours, min_dist {}, seed {}), then Ward.",
        umap.components, umap.neighbours, umap.min_dist, umap.seed));
  } else {
    report.add_text("Ward on the vectors as they are.");
  }
  return report;
}

ClusteringResult run(const CLI::App& command, ClusteringCommandOptions& options,
                     Communicator& communicator) {
  if (options.reduce == "none") {
    refuse_idle(command, {"--components", "--neighbours", "--min-dist", "--epochs"},
                "an option of UMAP, which --reduce none leaves out");
  }
  if (!options.npy.empty()) {
    refuse_idle(command, {"--splits"}, "all rows of --npy are clustered");
    refuse_reading_options(command);
  }
  options.clustering.rank = options.checked_rank();
  options.clustering.baselines = !options.no_baselines;
  options.clustering.umap.seed = options.seed;
  options.clustering.reduce = options.reduce == "umap";
  if (!options.npy.empty()) {
    return evaluate_clustering(EmbeddingFiles{options.npy[0], options.npy[1]}, options.clustering,
                               communicator);
  }
  const std::filesystem::path model = options.resolve(
      communicator,
      "evaluate clustering needs MODEL and DATA, or --npy\n"
      "Example: barcodemae evaluate clustering runs/small barcodes.csv --rank dna_bin");
  options.clustering.features = options.features;
  return evaluate_clustering(model, options.data, options.clustering, communicator);
}

}  // namespace

void add_evaluate_clustering_command(CLI::App& evaluate, Communicator& communicator) {
  auto options = std::make_shared<ClusteringCommandOptions>();
  options->rank = "dna_bin";
  ClusteringOptions& clustering = options->clustering;
  CLI::App* command = evaluate.add_subcommand(
      "clustering", "How well clusters (UMAP, then Ward) bring labels back: AMI, ARI, homogeneity");
  add_model_and_data(*command, *options);
  command
      ->add_option("--splits", clustering.splits,
                   "Split(s) to cluster together, joined with +; all: every record")
      ->capture_default_str();
  command->add_option("--rank", options->rank, "Labels to bring back: order … species, dna_bin")
      ->capture_default_str();
  command
      ->add_option("--npy", options->npy,
                   "Embeddings made elsewhere: C.npy and C.tsv with a header and labels")
      ->expected(2)
      ->excludes("MODEL")
      ->excludes("DATA");
  whole(command->add_option("--clusters", clustering.clusters,
                            "Clusters to cut Ward's tree into; default: as many as labels"),
        1);
  command
      ->add_option("--reduce", options->reduce, "umap, or none: Ward takes the vectors as they are")
      ->check(CLI::IsMember({"umap", "none"}))
      ->capture_default_str();
  whole(command->add_option("--components", clustering.umap.components, "Dimensions after UMAP"), 1,
        1024)
      ->capture_default_str();
  whole(command->add_option("--neighbours", clustering.umap.neighbours,
                            "Of UMAP's graph, each record itself counted"),
        2, 1024)
      ->capture_default_str();
  within(command->add_option("--min-dist", clustering.umap.min_dist,
                             "How close UMAP puts what belongs together"),
         0, 1)
      ->capture_default_str();
  whole(command->add_option("--epochs", clustering.umap.epochs,
                            "Of UMAP; default: 500 up to 10,000 records, 200 beyond"),
        1, 100'000);
  add_per_record_option(*command, *options, "record: its label and its cluster");
  add_evaluation_options(*command, *options);
  command->footer(
      "Time grows with the square of the records: neighbours are exact, and Ward compares all\n"
      "clusters (see docs/performance.md). Records without a label are left out and counted.\n"
      "Examples:\n"
      "  barcodemae evaluate clustering coi-small barcodes.csv.zst\n"
      "  barcodemae evaluate clustering coi-small barcodes.csv.zst --reduce none --no-baselines "
      "--per-record clusters.csv\n"
      "  barcodemae evaluate clustering runs/small barcodes.csv --splits val_unseen --rank "
      "species\n"
      "  barcodemae evaluate clustering --npy C.npy C.tsv --rank dna_bin --json out.json");
  command->callback([options, command, &communicator] {
    options->require_writable_results(communicator);
    const ClusteringResult result = run(*command, *options, communicator);
    options->write_tables(communicator, result);
    options->write_results(communicator, result.to_text(), result.to_json(),
                           [&] { return report_of(result); });
  });
}

}  // namespace barcodemae
