// SPDX-License-Identifier: MIT
// The yardstick: what the machine's matrix library reaches on its own.
#pragma once

#include <string>
#include <vector>

#include "tensor/view.h"

namespace barcodemae {

struct GemmRate {
  struct Shape {
    std::string name;
    int out = 0, in = 0;  ///< of the weight
    double gflops = 0;    ///< median of the repeats
  };
  std::vector<Shape> shapes;  ///< the four weights of a layer of `base`
  double gflops = 0;          ///< their mean
};

/// oneDNN's own rate with all threads of parallel_for: 3,520 rows (32 barcodes) times weights in
/// oneDNN's favourite layout, results in the operands' type. `repeats`: per shape.
GemmRate measure_gemm_rate(DType precision, int repeats);

}  // namespace barcodemae
