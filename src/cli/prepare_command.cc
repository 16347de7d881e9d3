// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "base/atomic_file.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "prepare/prepare.h"

namespace barcodemae {

namespace {

struct PrepareCommandOptions {
  PrepareOptions prepare;
  std::string duplicates = "majority", splits = "new";
};

void run_prepare(const CLI::App& command, PrepareCommandOptions& options) {
  PrepareOptions& chosen = options.prepare;
  if (options.splits == "own") {
    refuse_idle(command, {"--val", "--test", "--unseen-species", "--seed"},
                "with --splits own no splits are made");
  }
  chosen.splits = options.splits == "own" ? SplitSource::kOwn : SplitSource::kNew;
  chosen.duplicates =
      options.duplicates == "first" ? Duplicates::kFirstInFile : Duplicates::kMajority;
  refuse_to_overwrite(chosen.input, chosen.out);
  const PrepareAccount account = prepare(chosen);
  std::fputs(account.to_text().c_str(), chosen.out == "-" ? stderr : stdout);
}

}  // namespace

void add_prepare_command(CLI::App& application) {
  CLI::App& command = *application.add_subcommand(
      "prepare", "Make distinct barcodes in splits from records as they are filed");
  auto options = std::make_shared<PrepareCommandOptions>();
  PrepareOptions& chosen = options->prepare;

  command
      .add_option(
          "DATA", chosen.input,
          "BIOSCAN-5M or CanadianInvertebrates-ML metadata, a BOLD table, or FASTA; .gz and "
          ".zst too. It is read twice")
      ->required();
  command
      .add_option("--out", chosen.out,
                  "Table to write: .csv or .tsv, with .gz or .zst behind it to compress; - for CSV "
                  "to standard output")
      ->required();
  add_marker_code_option(command, chosen.marker_code);
  whole(
      command.add_option("--min-length", chosen.min_length, "Leave out sequences with fewer bases"),
      1, 1 << 20)
      ->capture_default_str();
  within(command.add_option("--max-ambiguous", chosen.max_ambiguous,
                            "Leave out sequences with a larger share of bases that are not A, C, G "
                            "or T"),
         0, 1)
      ->capture_default_str();
  command
      .add_option("--duplicates", options->duplicates,
                  "Labels of records with the same sequence: majority does not depend on the order "
                  "of the file; first keeps the first record, as the reference's data_split.py "
                  "does")
      ->check(CLI::IsMember({"majority", "first"}))
      ->capture_default_str();
  command
      .add_option("--splits", options->splits,
                  "new: made from the labels; own: those of the file's column split")
      ->check(CLI::IsMember({"new", "own"}))
      ->capture_default_str()
      ->group("Splits");
  const auto add_share = [&](const char* name, double& share, const char* help) {
    within(command.add_option(name, share, help), 0, 1)->capture_default_str()->group("Splits");
  };
  add_share("--val", chosen.new_splits.val, "Share of a seen species' barcodes for val");
  add_share("--test", chosen.new_splits.test, "Share of a seen species' barcodes for test");
  add_share("--unseen-species", chosen.new_splits.unseen_species,
            "Share of the species to be in val_unseen or test_unseen alone, divided as --val to "
            "--test; their genera stay in train");
  whole(command.add_option("--seed", chosen.new_splits.seed,
                           "Seed: the same records and options make the same splits"),
        0)
      ->capture_default_str()
      ->group("Splits");

  add_common_options(command);
  command.footer(
      "pretrain is everything without a species name. Identical sequences become one barcode; its\n"
      "labels are those on which more than half of its records agree. Barcodes without a species\n"
      "in a BIN of an unseen species are left out. Rows stand in the order of the file. What went\n"
      "where, and why, is printed.\n\n"
      "The reference's partitions of BIOSCAN-5M, then pretraining on what it pretrains on:\n"
      "  barcodemae prepare BIOSCAN_5M_Insect_Dataset_metadata.csv --splits own \\\n"
      "      --duplicates first --out bioscan.csv.zst\n"
      "  barcodemae pretrain bioscan.csv.zst --splits pretrain,other_heldout --out run\n\n"
      "Other examples:\n"
      "  barcodemae prepare BOLD_Public.tsv --marker-code COI-5P --min-length 500 \\\n"
      "      --max-ambiguous 0.01 --unseen-species 0.1 --out bold.csv.zst\n"
      "  barcodemae prepare unite.fasta --unseen-species 0.1 --out its.csv");
  command.callback([options, &command] { run_prepare(command, *options); });
}

}  // namespace barcodemae
