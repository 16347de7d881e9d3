// SPDX-License-Identifier: MIT
// How a subcommand presents itself to main.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace barcodemae {

class Communicator;

/// Thrown by a command that a signal ended in good order: `main` ends the process as the signal
/// would have, so that shells and schedulers see what happened.
struct EndedBySignal {
  int signal = 0;
};

/// Adds its subcommand to the application: options into a plain struct, examples into the footer,
/// and a callback that runs it. One file per subcommand, cli/<name>_command.cc. Commands that are
/// given a communicator share their work with the other processes of a job of mpirun or srun.

void add_simulate_command(CLI::App& application);
void add_prepare_command(CLI::App& application);
void add_pretrain_command(CLI::App& application, Communicator& communicator);
void add_embed_command(CLI::App& application, Communicator& communicator);
void add_evaluate_command(CLI::App& application, Communicator& communicator);
void add_import_command(CLI::App& application);
void add_export_command(CLI::App& application);
void add_whiten_command(CLI::App& application);
void add_info_command(CLI::App& application);
void add_bench_command(CLI::App& application);

/// Subcommands of evaluate.
void add_evaluate_knn_command(CLI::App& evaluate, Communicator& communicator);
void add_evaluate_linear_command(CLI::App& evaluate, Communicator& communicator);
void add_evaluate_finetune_command(CLI::App& evaluate, Communicator& communicator);
void add_evaluate_clustering_command(CLI::App& evaluate, Communicator& communicator);
void add_evaluate_table_command(CLI::App& evaluate, Communicator& communicator);

}  // namespace barcodemae
