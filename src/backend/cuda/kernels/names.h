// SPDX-License-Identifier: MIT
// Small structs that host code fills and kernels take by value.
#pragma once

#include <cstdint>

namespace barcodemae::cuda {

/// What the rows of a packed batch are called; Segments on the device.
struct RowNames {
  const std::int32_t* offsets = nullptr;    ///< [sequences + 1]
  const std::int32_t* records = nullptr;    ///< [sequences]
  const std::int32_t* positions = nullptr;  ///< [rows]
  int sequences = 0;
};

/// Dropout of tensor/backend.h, worked out.
struct DropoutStream {
  std::uint64_t seed = 0;
  std::uint32_t stream = 0;  ///< Stream::kDropout + site
  std::uint32_t step = 0;
  std::uint32_t threshold = 0;  ///< of 65536; 0: the identity
  float scale = 1;
};

}  // namespace barcodemae::cuda
