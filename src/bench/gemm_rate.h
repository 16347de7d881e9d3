// SPDX-License-Identifier: MIT
// The yardstick: what the machine's matrix library reaches on its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/backend.h"

namespace barcodemae {

struct GemmRate {
  struct Shape {
    std::string name;
    int out = 0, in = 0;    ///< of the weight
    double gflops = 0;      ///< median of the repeats
    std::int64_t rows = 0;  ///< of x
  };
  std::vector<Shape> shapes;  ///< the four weights of a layer of `base`; of a device after a square
  double gflops = 0;          ///< their mean; of a device: the square's
};

/// oneDNN's own rate with all threads of parallel_for: 3,520 rows (32 barcodes) times weights in
/// oneDNN's favourite layout, results in the operands' type. `repeats`: per shape.
GemmRate measure_gemm_rate(DType precision, int repeats);

/// A backend's own products y = x · Wᵀ + b, one after the other without waiting, on random data
/// (zeros are computed faster): a square one, of 8,192 or as many as keep one product within about
/// 0.1 s, then the four weights of a layer of `base` with as many rows as 512 barcodes have,
/// 56,320, or with the square's.
GemmRate measure_device_gemm_rate(Backend& backend, DType precision, int repeats);

}  // namespace barcodemae
