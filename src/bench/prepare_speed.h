// SPDX-License-Identifier: MIT
// How fast a training's batches are made: what must keep up with the device.
#pragma once

#include <cstdint>
#include <string>

namespace barcodemae {

struct PrepareRequest {
  std::string preset;
  std::int64_t batch = 512;
  std::int64_t records = 20'000;  ///< simulated
  double seconds = 2;             ///< goes on until so much time has passed
};

struct PrepareSpeed {
  double records_per_s = 0;  ///< by one thread: tokenised, masked and packed; median of the batches
  double records_per_cpu_s = 0;  ///< by the processor's time, whatever else is running
};

/// A training's batches of simulated barcodes, without a device. A training makes the next batch
/// in one thread while a step computes. Throws UserError as load_training_data() does. To be called
/// in a process of its own, whose signals it takes.
PrepareSpeed measure_preparing(const PrepareRequest& request);

}  // namespace barcodemae
