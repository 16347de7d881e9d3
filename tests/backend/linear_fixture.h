// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "guarded_buffer.h"
#include "tensor/parameters.h"

namespace barcodemae::test {

/// A linear layer from 8 channels to 8 and room for one row.
struct LinearFixture {
  explicit LinearFixture(Backend& backend) : parameters(backend), x(backend, 32), y(backend, 32) {
    parameters.declare({"weight"}, 8, 8, {Initialisation::Kind::kNormal, 1.0}, true);
    parameters.declare({"bias"}, 1, 8, {});
    parameters.allocate(true);
    parameters.initialise(1);
    upload(backend, x.view(1, 8, DType::kFloat32), {1, 0, 0, 0, 0, 0, 0, 0});
  }
  std::vector<double> forward(Backend& backend) {
    backend.linear_forward(y.view(1, 8, DType::kFloat32), x.view(1, 8, DType::kFloat32),
                           {parameters.get(0), parameters.get(1)});
    return download(backend, y.view(1, 8, DType::kFloat32));
  }
  Parameters parameters;
  GuardedBuffer x, y;
};

}  // namespace barcodemae::test
