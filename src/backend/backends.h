// SPDX-License-Identifier: MIT
// The devices there are.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/cpu.h"
#include "backend/reference/reference_backend.h"
#include "tensor/backend.h"

namespace barcodemae {

/// The faster of float32 and bfloat16 on this machine for the CPU backend, measured once per
/// machine in a few milliseconds and remembered for the process.
DType preferred_cpu_precision();

/// The library behind the CPU backend's matrix products, with the version that runs:
/// "oneDNN 2.6.3".
std::string cpu_matrix_library();

/// "cpu" or "reference". Throws UserError naming the choices for anything else.
std::unique_ptr<Backend> make_backend(const std::string& name);

}  // namespace barcodemae
