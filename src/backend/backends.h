// SPDX-License-Identifier: MIT
// The devices there are.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tensor/backend.h"

namespace barcodemae {

/// Plain loops, single-threaded, float32 or float64 (by the activations' and parameters' type): the
/// meaning of every op, and the oracle of the tests.
std::unique_ptr<Backend> make_reference_backend();

/// oneDNN and SIMD kernels chosen at run time for this machine; float32 and bfloat16.
std::unique_ptr<Backend> make_cpu_backend();

/// The faster of float32 and bfloat16 on this machine for the CPU backend, measured once per
/// machine in a few milliseconds and remembered for the process.
DType preferred_cpu_precision();

/// The library behind the CPU backend's matrix products, with the version that runs:
/// "oneDNN 2.6.3".
std::string cpu_matrix_library();

/// "cpu" or "reference". Throws UserError naming the choices for anything else.
std::unique_ptr<Backend> make_backend(const std::string& name);

}  // namespace barcodemae
