// SPDX-License-Identifier: MIT
#include "communication/launch.h"

#include <dlfcn.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "barcodemae_version.h"
#include "base/error.h"
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
    const char *size, *rank, *sign;
  };
  for (const Names& names :
       {Names{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_RANK"},
        Names{"PMI_SIZE", "PMI_RANK", "PMI_RANK"},
        Names{"SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "PMIX_RANK"}}) {
    const char* size = variable(names.size);
    const char* rank = variable(names.rank);
    if (size == nullptr || rank == nullptr || variable(names.sign) == nullptr) continue;
    return {number(names.rank, rank), number(names.size, size)};
  }
  return {};
}

Launch read_launch() {
  return read_launch([](const char* name) -> const char* { return std::getenv(name); });
}

std::vector<fs::path> plugin_places() {
  if (const char* chosen = std::getenv("BARCODEMAE_MPI_PLUGIN");
      chosen != nullptr && *chosen != '\0') {
    return {chosen};
  }
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return {};
  const fs::path folder = program.parent_path();
  return {folder / kPluginName, folder / BARCODEMAE_PLUGIN_FOLDER / kPluginName};
}

std::unique_ptr<Communicator> join_job(const Launch& launch, const std::vector<fs::path>& places) {
  if (launch.size <= 1) return std::make_unique<SingleProcess>();
  std::optional<fs::path> plugin;
  for (const fs::path& place : places) {
    std::error_code ignored;
    if (!plugin && fs::exists(place, ignored)) plugin = place;
  }
  if (!plugin) {
    throw UserError(
        "started as {} processes, but this barcodemae was built without MPI: there is no {}\n"
        "Install libopenmpi-dev and build it again, or start one process without mpirun.",
        launch.size, places.empty() ? kPluginName : places.front().string());
  }
  // Never unloaded: MPI's own threads and exit handlers may outlive us.
  void* library = ::dlopen(plugin->c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw UserError("cannot load {}: {}\nInstall the MPI it was built with (openmpi-bin).",
                    plugin->string(), ::dlerror());
  }
  void* symbol = ::dlsym(library, kPluginFactory);
  if (symbol == nullptr) {
    throw UserError("{} is no plugin of barcodemae\nBuild barcodemae again.", plugin->string());
  }
  auto* const make = reinterpret_cast<PluginFactory*>(symbol);
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
