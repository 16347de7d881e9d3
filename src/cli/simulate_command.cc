// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "sequence/writer.h"
#include "simulate/simulation.h"

namespace barcodemae {

namespace {

struct SimulateOptions {
  SimulationOptions simulation;
  std::string out;
};

void run_simulate(const SimulateOptions& options) {
  RecordWriter writer(options.out);  // first: a wrong name costs no time
  const Simulation simulation(options.simulation);
  const Taxonomy& taxonomy = simulation.taxonomy();
  log_info("{} barcodes: {} classes, {} orders, {} families, {} genera, {} species, {} BINs",
           format_count(simulation.size()), format_count(taxonomy.size(Level::kClass)),
           format_count(taxonomy.size(Level::kOrder)), format_count(taxonomy.size(Level::kFamily)),
           format_count(taxonomy.size(Level::kGenus)), format_count(taxonomy.size(Level::kSpecies)),
           format_count(taxonomy.size(Level::kBin)));
  write_simulation(simulation, writer);
  writer.commit();
}

}  // namespace

void add_simulate_command(CLI::App& application) {
  CLI::App& command = *application.add_subcommand(
      "simulate", "Make synthetic COI-like barcodes with labels, BINs and splits");
  auto options = std::make_shared<SimulateOptions>();
  SimulationOptions& simulation = options->simulation;

  whole(command.add_option("--records", simulation.records, "Number of barcodes"), 1,
        kMostSimulatedRecords)
      ->required();
  whole(command.add_option("--seed", simulation.seed, "Seed: the same options make the same file"),
        0)
      ->capture_default_str();
  command
      .add_option("--out", options->out,
                  "File to write: .csv, .tsv or .fasta, with .gz or .zst behind it to compress; "
                  "- for CSV to standard output")
      ->required();

  const auto add_count = [&](const char* name, std::int64_t& count, const char* usual) {
    whole(command.add_option(name, count, std::string("Number of them; default: ") + usual), 1,
          kMostSimulatedRecords)
        ->group("Taxonomy");
  };
  add_count("--species", simulation.species, "one for 8 barcodes");
  add_count("--genera", simulation.genera, "one for 8 species");
  add_count("--families", simulation.families, "genera to the power of 0.79");
  add_count("--orders", simulation.orders, "families to the power of 0.64");
  add_count("--classes", simulation.classes, "orders to the power of 0.66");

  const auto add_share = [&](const char* name, double& share, const char* help) {
    within(command.add_option(name, share, help), 0, 1)
        ->capture_default_str()
        ->group("Quality, as shares of the barcodes");
  };
  add_share("--truncated", simulation.truncated, "Missing bases at an end or both");
  add_share("--ambiguous", simulation.ambiguous, "With N or other IUPAC codes");
  add_share("--reverse-complement", simulation.reverse_complement, "Filed on the other strand");
  add_share("--unidentified", simulation.unidentified, "Without a species name, in split pretrain");

  add_common_options(command);
  command.footer(
      "The columns are those of BIOSCAN-5M's metadata: processid, class, ..., genus, species,\n"
      "dna_bin, country, split, dna_barcode. Species of val_unseen and test_unseen are in no "
      "other\n"
      "split, their genera are in train. The marker is made up: shipped models do not read it.\n\n"
      "Examples:\n"
      "  barcodemae simulate --records 20000 --seed 1 --out barcodes.csv.zst\n"
      "  barcodemae simulate --records 5000 --genera 20 --species 400 --out small.csv\n"
      "  barcodemae simulate --records 1000 --reverse-complement 0.1 --out reads.fasta.gz");
  command.callback([options] { run_simulate(*options); });
}

}  // namespace barcodemae
