// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace barcodemae {

void add_evaluate_command(CLI::App& application, Communicator& communicator) {
  CLI::App* evaluate = application.add_subcommand("evaluate", "What a model is worth");
  evaluate->require_subcommand(1);
  evaluate->footer(
      "Examples:\n"
      "  barcodemae evaluate knn coi-small barcodes.csv --keys train --queries test_unseen\n"
      "  barcodemae evaluate linear coi-small barcodes.csv --rank species\n"
      "  barcodemae evaluate finetune coi-small barcodes.csv --out runs/species\n"
      "  barcodemae evaluate clustering coi-small barcodes.csv --rank dna_bin\n"
      "  barcodemae evaluate table coi-small barcodes.csv --out tables/coi-small\n"
      "barcodemae evaluate knn --help shows the options of knn, and so for each.");
  add_evaluate_knn_command(*evaluate, communicator);
  add_evaluate_linear_command(*evaluate, communicator);
  add_evaluate_finetune_command(*evaluate, communicator);
  add_evaluate_clustering_command(*evaluate, communicator);
  add_evaluate_table_command(*evaluate, communicator);
}

}  // namespace barcodemae
