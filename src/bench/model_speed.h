// SPDX-License-Identifier: MIT
// Our own rates: a training step and an embedding as users run them.
#pragma once

#include <cstdint>
#include <string>

#include "nn/config.h"
#include "tensor/view.h"

namespace barcodemae {

enum class BenchTask { kTrain, kEmbed };

struct SpeedRequest {
  std::string preset;
  std::string device = "cpu";  ///< as make_backend() knows it
  BenchTask task = BenchTask::kTrain;
  DType precision = DType::kFloat32;
  std::int64_t batch = 32;
  std::int64_t micro_batch = 0;  ///< of training: barcodes in memory at a time; 0: the batch
  std::int64_t tokens = 110;     ///< of each barcode
  int width = 0;       ///< of encoder and decoder, inner layers four times that; 0: preset's
  int repeats = 3;     ///< at least
  double seconds = 2;  ///< goes on repeating until so much time has passed
};

struct Speed {
  double samples_per_s = 0;  ///< median of the repeats
  double gflops = 0;         ///< by the FLOPs of nn/flops.h
  /// Taken of a device's own memory: weights, activations and what grew with the first steps, not
  /// what its driver and libraries take at the start. 0 for devices in the host's memory.
  std::size_t device_bytes = 0;
};

/// The preset with the width asked for. Throws UserError when it has no such model, or not so many
/// positions as there are tokens.
ModelConfig model_of(const SpeedRequest& request);

/// Barcodes of random bases, half of them masked for training. One repeat is a
/// whole step: forward, backward, AdamW and the new compute copies; or a batch embedded.
Speed measure_speed(const SpeedRequest& request);

}  // namespace barcodemae
