// SPDX-License-Identifier: MIT
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "barcodemae_version.h"
#include "base/error.h"
#include "base/temporary_files.h"
#include "cli/command.h"
#include "cli/config_file.h"

namespace barcodemae {
namespace {

constexpr int kOurBug = 1, kUserCanMend = 2;

/// CLI11 would only say that a command is missing.
void refuse_unknown_command(const CLI::App& application,
                            const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments.front().starts_with('-')) return;
  std::vector<std::string> names;
  for (const CLI::App* command : application.get_subcommands({})) {
    if (command->get_name() == arguments.front()) return;
    names.push_back(command->get_name());
  }
  throw UserError("unknown command '{}'\nCommands: {}", arguments.front(), fmt::join(names, ", "));
}

/// What was printed must have arrived.
void flush_standard_output() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    throw UserError("standard output: cannot be written ({})", std::strerror(errno));
  }
}

int run(int argc, char** argv) {
  CLI::App application{
      "Masked autoencoders for DNA barcodes: pretrain, embed, evaluate (BarcodeMAE, arXiv "
      "2502.18405)"};
  application.name("barcodemae");
  application.set_version_flag("--version", BARCODEMAE_VERSION);
  application.require_subcommand(1);
  application.footer(
      "Examples:\n"
      "  barcodemae simulate --records 20000 --out barcodes.csv.zst\n"
      "  barcodemae pretrain barcodes.csv.zst --out run --minutes 10\n"
      "  barcodemae embed run barcodes.csv.zst --out vectors.npy\n"
      "  barcodemae evaluate knn run barcodes.csv.zst\n"
      "barcodemae COMMAND --help shows a command's options and examples.");
  for (const AddCommand add :
       {add_simulate_command, add_pretrain_command, add_embed_command, add_evaluate_command,
        add_export_command, add_bench_command, add_info_command}) {
    add(application);
  }
  try {
    std::vector<std::string> arguments =
        expand_config_file(std::vector<std::string>(argv + 1, argv + argc));
    refuse_unknown_command(application, arguments);
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    application.parse(arguments);
  } catch (const CLI::ParseError& error) {
    // CLI11 shows help and version through errors of exit code 0.
    if (error.get_exit_code() == 0) return application.exit(error);
    throw UserError("{}\nbarcodemae COMMAND --help shows the options and examples.", error.what());
  }
  flush_standard_output();
  return 0;
}

}  // namespace
}  // namespace barcodemae

int main(int argc, char** argv) {
  barcodemae::remove_temporaries_on_signals();
  try {
    return barcodemae::run(argc, argv);
  } catch (const barcodemae::UserError& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return barcodemae::kUserCanMend;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "internal error: %s\nThis is a bug in barcodemae %s; please report it.\n",
                 error.what(), BARCODEMAE_VERSION);
    return barcodemae::kOurBug;
  }
}
