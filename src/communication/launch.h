// SPDX-License-Identifier: MIT
// Finding the other processes of a job, if mpirun or srun started several.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "communication/communicator.h"

namespace barcodemae {

/// How this process was started.
struct Launch {
  int rank = 0, size = 1;
  /// Among the processes of the job on this machine; `rank` where the launcher does not say.
  int rank_on_machine = 0;
};

/// From the variables that launchers of MPI jobs set: Open MPI's mpirun, those with PMI (MPICH,
/// Intel MPI, srun --mpi=pmi2), and srun --mpi=pmix. Without them: one process. `variable` is
/// std::getenv but for tests. Throws UserError for a variable that is no number.
Launch read_launch(const std::function<const char*(const char* name)>& variable);
Launch read_launch();

/// Where libbarcodemae_mpi.so is looked for (base/plugin.h); $BARCODEMAE_MPI_PLUGIN names another.
std::vector<std::filesystem::path> mpi_plugin_places();

/// One process: no plugin is touched. Several: loads the plugin and joins them. Throws UserError
/// when there is no plugin, when it is of another version, or when it finds other processes than
/// `launch` says.
std::unique_ptr<Communicator> join_job(const Launch& launch,
                                       const std::vector<std::filesystem::path>& places);

}  // namespace barcodemae
