// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/class_report.h"
#include "cli/command.h"
#include "cli/evaluation_options.h"
#include "evaluation/knn.h"

namespace barcodemae {
namespace {

struct KnnCommandOptions : EvaluationOptions {
  std::vector<std::string> keys_npy, queries_npy;
  std::string votes = "uniform";
  std::vector<std::string> masks;
  std::vector<double> mask_rates;
  std::uint64_t mask_seed = 1;
  std::string mask_side = "both";
  KnnOptions knn;
};

const std::map<std::string, InferenceMask::Kind> kMaskKinds = {
    {"drop", InferenceMask::Kind::kDrop},
    {"replace", InferenceMask::Kind::kReplace},
    {"only-masked", InferenceMask::Kind::kOnlyMasked}};

/// Accuracy against the share of masked tokens, a curve for each kind of masking.
LineChart mask_curve(const KnnResult& result) {
  LineChart chart;
  chart.title = "Tokens masked at inference";
  chart.x_label = "masked k-mers, %";
  chart.y_label = fmt::format("{} accuracy, %", to_string(result.rank));
  const KnnRow& plain = result.rows.front();
  for (const auto& [name, kind] : kMaskKinds) {
    std::map<double, double> points;
    for (const KnnRow& row : result.rows) {
      const bool centred = row.name.ends_with(", centred");
      if (row.mask.kind == kind && !centred) points[row.mask.rate] = row.scores.accuracy;
    }
    if (points.empty()) continue;
    // Without masked tokens, there is nothing to pool but all of them.
    if (kind != InferenceMask::Kind::kOnlyMasked) points[0] = plain.scores.accuracy;
    LineChart::Series series;
    series.name = name;
    for (const auto& [rate, accuracy] : points) {
      series.points.emplace_back(100 * rate, 100 * accuracy);
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

Report report_of(const KnnResult& result) {
  Report report(fmt::format("{} by {}", to_string(result.rank), result.method()),
                fmt::format("{} queries ({}) against {} keys ({})", result.query_count,
                            result.queries, result.key_count, result.keys));
  BarChart chart;
  chart.title = result.neighbours == 1 ? "Accuracy of the nearest neighbour"
                                       : "Accuracy of the nearest neighbours";
  chart.value_label = fmt::format("{} accuracy, %", to_string(result.rank));
  chart.maximum = 100;
  Table table;
  table.columns = {"Features",   "Accuracy %",    "Balanced %",
                   "Macro F1 %", "Weighted F1 %", "Effective rank of the keys"};
  for (const KnnRow& row : result.rows) {
    chart.bars.push_back({row.name, 100 * row.scores.accuracy, &row == &result.rows.front()});
    table.rows.push_back({row.name, fmt::format("{:.2f}", 100 * row.scores.accuracy),
                          fmt::format("{:.2f}", 100 * row.scores.balanced_accuracy),
                          fmt::format("{:.2f}", 100 * row.scores.macro_f1),
                          fmt::format("{:.2f}", 100 * row.scores.weighted_f1),
                          row.effective_rank ? fmt::format("{:.1f}", *row.effective_rank) : "–"});
  }
  report.add_bar_chart(chart);
  const LineChart curve = mask_curve(result);
  if (!curve.series.empty()) report.add_line_chart(curve);
  report.add_table(table);
  if (const auto lines = result.bin_table(); !lines.empty()) {
    report.add_table({"Accuracy, %, by which keys lie in the query's BIN",
                      lines.front(),
                      {lines.begin() + 1, lines.end()}});
  }
  const KnnRow& first = result.rows.front();
  const Table hardest = hardest_classes(first.name, first.scores, result.label_names);
  if (!hardest.rows.empty()) report.add_table(hardest);
  return report;
}

/// Every kind of masking at every rate.
std::vector<InferenceMask> masks_of(const KnnCommandOptions& options) {
  std::vector<InferenceMask> masks;
  for (const std::string& name : options.masks) {
    for (const double rate : options.mask_rates) {
      // The model's own row is rate 0, or there is nothing to pool.
      if (rate > 0) masks.push_back({kMaskKinds.at(name), rate, options.mask_seed});
    }
  }
  return masks;
}

KnnResult run(const CLI::App& command, KnnCommandOptions& options, Communicator& communicator) {
  if (options.votes != "softmax") {
    refuse_idle(command, {"--temperature"}, "there are no --votes softmax");
  }
  if (!options.keys_npy.empty()) {
    refuse_idle(command, {"--keys", "--queries"}, "files of embeddings have no splits");
    refuse_reading_options(command);
  }
  options.knn.rank = options.checked_rank();
  options.knn.baselines = !options.no_baselines;
  options.knn.seed = options.seed;
  options.knn.votes.votes = options.votes == "softmax" ? Votes::kSoftmax : Votes::kUniform;
  options.knn.masks = masks_of(options);
  options.knn.mask_keys = options.mask_side == "both";
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
      "knn", "Label of the nearest keys by cosine, beside baselines that need no training");
  add_model_and_data(*command, *options);
  command->add_option("--keys", options->knn.keys, "Split(s) to search in, joined with +")
      ->capture_default_str();
  command->add_option("--queries", options->knn.queries, "Split(s) to identify, joined with +")
      ->capture_default_str();
  command->add_option("--rank", options->rank, "Rank to identify: order … genus, species, dna_bin")
      ->capture_default_str();
  whole(command->add_option("--k", options->knn.neighbours, "Keys that vote for the label"), 1,
        100000)
      ->capture_default_str();
  command
      ->add_option("--votes", options->votes,
                   "uniform: one each; softmax: exp(similarity / temperature). Of labels with "
                   "equally many, the one with the nearest key wins")
      ->check(CLI::IsMember({"uniform", "softmax"}))
      ->capture_default_str();
  within(command->add_option("--temperature", options->knn.votes.temperature, "Of softmax votes"),
         1e-6, 1000)
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
  CLI::Option* mask =
      by_commas(command->add_option(
                    "--inference-mask", options->masks,
                    "Also mask tokens at inference: drop them (the encoder sees the others, at "
                    "their positions), replace them by [MASK], or pool only-masked ones; several "
                    "by commas"))
          ->check(CLI::IsMember({"drop", "replace", "only-masked"}))
          ->excludes(keys_npy);
  CLI::Option* rate =
      within(by_commas(command->add_option(
                 "--mask-rate", options->mask_rates,
                 "Share of the k-mers that is masked; several by commas make a curve")),
             0, 1);
  mask->needs(rate);
  rate->needs(mask);
  whole(command->add_option("--mask-seed", options->mask_seed, "Of the choice of masked tokens"), 0)
      ->capture_default_str()
      ->needs(mask);
  command->add_option("--mask-side", options->mask_side, "Mask both keys and queries, or queries")
      ->check(CLI::IsMember({"both", "queries"}))
      ->capture_default_str()
      ->needs(mask);
  add_per_class_option(*command, *options);
  add_per_record_option(*command, *options,
                        "query: its label, the answer, the nearest key and its similarity");
  add_evaluation_options(*command, *options);
  command->footer(
      "Examples:\n"
      "  barcodemae evaluate knn runs/small barcodes.csv.zst\n"
      "  barcodemae evaluate knn coi-small barcodes.csv --queries val_unseen --centre --json "
      "out.json\n"
      "  barcodemae evaluate knn coi-small barcodes.csv --k 5 --votes softmax --per-class "
      "classes.csv\n"
      "  barcodemae evaluate knn coi-small barcodes.csv --no-baselines --per-record answers.csv\n"
      "  barcodemae evaluate knn coi-small barcodes.csv --inference-mask drop,replace "
      "--mask-rate 0.1,0.3,0.5,0.7 --report mismatch.html\n"
      "  barcodemae evaluate knn --keys-npy K.npy K.tsv --queries-npy Q.npy Q.tsv --rank family");
  command->callback([options, command, &communicator] {
    options->require_writable_results(communicator);
    const KnnResult result = run(*command, *options, communicator);
    options->write_tables(communicator, result);
    options->write_results(communicator, result.to_text(), result.to_json(),
                           [&] { return report_of(result); });
  });
}

}  // namespace barcodemae
