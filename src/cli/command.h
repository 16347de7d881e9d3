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

/// Adds its subcommand to the application: options into a plain struct, examples into the footer,
/// and a callback that runs it. One file per subcommand, cli/<name>_command.cc.
using AddCommand = void (*)(CLI::App& application);

void add_simulate_command(CLI::App& application);
void add_pretrain_command(CLI::App& application);
void add_embed_command(CLI::App& application);
void add_evaluate_command(CLI::App& application);
void add_export_command(CLI::App& application);
void add_info_command(CLI::App& application);
void add_bench_command(CLI::App& application);

}  // namespace barcodemae
