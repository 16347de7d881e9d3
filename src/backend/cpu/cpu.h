// SPDX-License-Identifier: MIT
// The CPU backend as the rest of the program sees it.
#pragma once

#include <memory>
#include <string>

#include "tensor/backend.h"

namespace barcodemae {

/// oneDNN and SIMD kernels chosen at run time for this machine; float32 and bfloat16.
std::unique_ptr<Backend> make_cpu_backend();

namespace cpu {

/// Whether this machine computes products in float32, bfloat16, int8.
bool has_precision(DType precision);
/// Throws UserError when it does not.
void require_precision(DType precision);

/// The faster of float32 and bfloat16 for matrix products on this machine; takes some milliseconds.
DType faster_precision();

/// "oneDNN 2.6.3": what runs, not what was compiled against.
std::string gemm_library();

}  // namespace cpu
}  // namespace barcodemae
