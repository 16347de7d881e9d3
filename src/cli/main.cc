// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
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

int run(int argc, char** argv) {
  CLI::App application{
      "Masked autoencoders for DNA barcodes: pretrain, embed, evaluate (BarcodeMAE, arXiv "
      "2502.18405)"};
  application.name("barcodemae");
  application.set_version_flag("--version", BARCODEMAE_VERSION);
  application.require_subcommand(1);
  application.footer("barcodemae COMMAND --help shows a command's options and examples.");
  for (const AddCommand add : {add_simulate_command, add_pretrain_command, add_embed_command,
                               add_evaluate_command, add_bench_command, add_info_command}) {
    add(application);
  }
  try {
    std::vector<std::string> arguments =
        expand_config_file(std::vector<std::string>(argv + 1, argv + argc));
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    application.parse(arguments);
  } catch (const CLI::ParseError& error) {
    // CLI11 shows help and version through errors of exit code 0.
    if (error.get_exit_code() == 0) return application.exit(error);
    throw UserError("{}\nbarcodemae COMMAND --help shows the options and examples.", error.what());
  }
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
