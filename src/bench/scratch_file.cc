// SPDX-License-Identifier: MIT
#include "bench/scratch_file.h"

#include "simulate/simulation.h"

namespace barcodemae {

void write_simulated(const std::filesystem::path& path, std::int64_t records) {
  SimulationOptions options;
  options.records = records;
  RecordWriter writer(path);
  write_simulation(Simulation(options), writer);
  writer.commit();
}

}  // namespace barcodemae
