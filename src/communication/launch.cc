// SPDX-License-Identifier: MIT
#include "communication/launch.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "barcodemae_version.h"
#include "base/error.h"
#include "base/plugin.h"
#include "communication/single_process.h"

namespace barcodemae {
namespace fs = std::filesystem;

namespace {

constexpr const char* kPluginName = "libbarcodemae_mpi.so";

int number(const char* name, const char* text) {
  int value = -1;
  const char* end = text + std::strlen(text);
  const auto result = std::from_chars(text, end, value);
  if (result.ec != std::errc() || result.ptr != end || value < 0) {
    throw UserError(
        "{}={}: a number was expected from the program that started this one\n"
        "Start it by mpirun or srun, or remove that variable.",
        name, text);
  }
  return value;
}

}  // namespace

Launch read_launch(const std::function<const char*(const char* name)>& variable) {
  // SLURM sets its own for every task, also of jobs that have nothing to do with MPI: PMIX_RANK
  // says that srun was asked for it.
  struct Names {
    const char *size, *rank, *sign, *rank_on_machine;
  };
  for (const Names& names :
       {Names{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_RANK",
              "OMPI_COMM_WORLD_LOCAL_RANK"},
        Names{"PMI_SIZE", "PMI_RANK", "PMI_RANK", "MPI_LOCALRANKID"},
        Names{"SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "PMIX_RANK", "SLURM_LOCALID"}}) {
    const char* size = variable(names.size);
    const char* rank = variable(names.rank);
    if (size == nullptr || rank == nullptr || variable(names.sign) == nullptr) continue;
    Launch launch{number(names.rank, rank), number(names.size, size)};
    launch.rank_on_machine = launch.rank;
    for (const char* name : {names.rank_on_machine, "SLURM_LOCALID"}) {
      if (const char* text = variable(name); text != nullptr) {
        launch.rank_on_machine = number(name, text);
        break;
      }
    }
    return launch;
  }
  return {};
}

Launch read_launch() {
  return read_launch([](const char* name) -> const char* { return std::getenv(name); });
}

std::vector<fs::path> mpi_plugin_places() {
  return plugin_places(kPluginName, "BARCODEMAE_MPI_PLUGIN");
}

std::unique_ptr<Communicator> join_job(const Launch& launch, const std::vector<fs::path>& places) {
  if (launch.size <= 1) return std::make_unique<SingleProcess>();
  const std::optional<fs::path> plugin = find_plugin(places);
  if (!plugin) {
    throw UserError(
        "started as {} processes, but this barcodemae was built without MPI: there is no {}\n"
        "Install libopenmpi-dev and build it again, or start one process without mpirun.",
        launch.size, places.empty() ? kPluginName : places.front().string());
  }
  auto* const make = reinterpret_cast<PluginFactory*>(
      plugin_function(*plugin, kPluginFactory, "Install the MPI it was built with (openmpi-bin)."));
  const std::string interface = std::string(kPluginInterface) + BARCODEMAE_VERSION;
  std::string error;
  std::unique_ptr<Communicator> communicator(make(interface.c_str(), error));
  if (!communicator) throw UserError("{}: {}", plugin->string(), error);
  if (communicator->size() != launch.size) {
    const int found = communicator->size();
    throw UserError(
        "started as {} processes, but {} finds {}: the launcher belongs to another MPI\n"
        "Start by the mpirun of the MPI that barcodemae was built with, or by srun --mpi=pmix.",
        launch.size, communicator->library(), found);
  }
  return communicator;
}

}  // namespace barcodemae
