// SPDX-License-Identifier: MIT
// Kernels for AVX-512 with BF16 and AMX tiles.
#include "backend/cpu/kernels/levels.h"
#include "backend/cpu/kernels/table.h"

namespace barcodemae::cpu {

constinit const Kernels kAmxKernels = make_table(SimdLevel::kAmx);

}  // namespace barcodemae::cpu
