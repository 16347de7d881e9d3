// SPDX-License-Identifier: MIT
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "barcodemae_version.h"
#include "base/error.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/temporary_files.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/config_file.h"
#include "communication/launch.h"

namespace barcodemae {
namespace {

constexpr int kOurBug = 1, kUserCanMend = 2;

/// CLI11 would only say that a command is missing. Looks at those of a command too (evaluate knn).
void refuse_unknown_command(const CLI::App& application, std::span<const std::string> arguments) {
  if (arguments.empty() || arguments.front().starts_with('-')) return;
  std::vector<std::string> names;
  for (const CLI::App* command : application.get_subcommands({})) {
    if (command->get_name() == arguments.front()) {
      refuse_unknown_command(*command, arguments.subspan(1));
      return;
    }
    names.push_back(command->get_name());
  }
  if (names.empty()) return;
  throw UserError("unknown command '{}'\nCommands: {}", arguments.front(), fmt::join(names, ", "));
}

/// A job of several processes would do the same work as often.
void refuse_several_processes(const std::vector<std::string>& arguments,
                              const Communicator& communicator) {
  if (communicator.size() == 1 || arguments.empty() || arguments.front().starts_with('-')) return;
  const std::string& command = arguments.front();
  if (command == "pretrain" || command == "embed" || command == "evaluate") return;
  throw UserError("{} cannot share its work among {} processes\nStart it without mpirun or srun.",
                  command, communicator.size());
}

/// What was printed must have arrived.
void flush_standard_output() {
  std::cout.flush();
  if (!std::cout || std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    throw UserError("standard output: cannot be written ({})", std::strerror(errno));
  }
}

int run(int argc, char** argv, Communicator& communicator) {
  CLI::App application{
      "Masked autoencoders for DNA barcodes: pretrain, embed, evaluate (BarcodeMAE, arXiv "
      "2502.18405)"};
  application.name("barcodemae");
  application.set_version_flag("--version", BARCODEMAE_VERSION);
  application.require_subcommand(1);
  application.footer(
      "Examples:\n"
      "  barcodemae simulate --records 20000 --out barcodes.csv.zst\n"
      "  barcodemae prepare BOLD_Public.tsv --unseen-species 0.1 --out bold.csv.zst\n"
      "  barcodemae pretrain barcodes.csv.zst --out run --minutes 10\n"
      "  barcodemae embed run barcodes.csv.zst --out vectors.npy\n"
      "  barcodemae evaluate knn run barcodes.csv.zst\n"
      "barcodemae COMMAND --help shows a command's options and examples.");
  add_simulate_command(application);
  add_prepare_command(application);
  add_pretrain_command(application, communicator);
  add_embed_command(application, communicator);
  add_evaluate_command(application, communicator);
  add_import_command(application);
  add_export_command(application);
  add_whiten_command(application);
  add_bench_command(application);
  add_info_command(application);
  auto [arguments, config_file] =
      expand_config_file(application, std::vector<std::string>(argv + 1, argv + argc));
  try {
    refuse_unknown_command(application, arguments);
    refuse_several_processes(arguments, communicator);
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    application.parse(arguments);
  } catch (const CLI::ParseError& error) {
    // CLI11 shows help and version through errors of exit code 0.
    if (error.get_exit_code() == 0) {
      if (communicator.rank() == 0) application.exit(error);
      flush_standard_output();
      return 0;
    }
    throw UserError("{}{}\nbarcodemae COMMAND --help shows the options and examples.", error.what(),
                    config_file.empty() ? "" : "\nOptions were read from " + config_file + " too.");
  }
  flush_standard_output();
  return 0;
}

/// Joins the other processes of the job, if there are any, and divides the cores among those that
/// share them.
std::unique_ptr<Communicator> join(const Launch& launch) {
  if (launch.rank > 0) mute_log();
  std::unique_ptr<Communicator> communicator = join_job(launch, mpi_plugin_places());
  if (const int sharing = communicator->processes_on_cores(); sharing > 1) {
    set_thread_count(std::max(1, machine().cores / sharing));
  }
  return communicator;
}

/// Prints why the program ends, once for the whole job, and ends the other processes too: they may
/// wait for this one. Most errors are everybody's, so the first process has a start over the
/// others, which usually spares them their turn.
int end_with_error(const Launch& launch, Communicator* communicator, int code,
                   const std::string& message) {
  if (launch.rank > 0) {
    constexpr int kLongest = 20;
    std::this_thread::sleep_for(
        std::chrono::milliseconds(1000 + 100 * std::min(launch.rank, kLongest)));
  }
  if (launch.rank == 0 || communicator != nullptr) std::fprintf(stderr, "%s", message.c_str());
  if (communicator != nullptr && communicator->size() > 1) communicator->abort(code);
  return code;
}

}  // namespace
}  // namespace barcodemae

int main(int argc, char** argv) {
  using barcodemae::end_with_error;
  barcodemae::remove_temporaries_on_signals();
  barcodemae::Launch launch;
  std::unique_ptr<barcodemae::Communicator> communicator;
  try {
    launch = barcodemae::read_launch();
    communicator = barcodemae::join(launch);
    return barcodemae::run(argc, argv, *communicator);
  } catch (const barcodemae::EndedBySignal& ended) {
    constexpr int kSignalled = 128;  // as shells count
    // A process that dies by a signal is a failure to mpirun, and it would say so at length.
    if (communicator->size() > 1) return kSignalled + ended.signal;
    std::raise(ended.signal);
  } catch (const barcodemae::UserError& error) {
    return end_with_error(launch, communicator.get(), barcodemae::kUserCanMend,
                          fmt::format("error: {}\n", error.what()));
  } catch (const std::filesystem::filesystem_error& error) {  // no rights, a name too long
    return end_with_error(
        launch, communicator.get(), barcodemae::kUserCanMend,
        fmt::format("error: {}: {}\n", error.path1().string(), error.code().message()));
  } catch (const std::exception& error) {
    return end_with_error(
        launch, communicator.get(), barcodemae::kOurBug,
        fmt::format("internal error: {}\nThis is a bug in barcodemae {}; please report it.\n",
                    error.what(), BARCODEMAE_VERSION));
  }
}
