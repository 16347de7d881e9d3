// SPDX-License-Identifier: MIT
// Kernels for AVX-512 F, BW, DQ and VL.
#include "backend/cpu/kernels/levels.h"
#include "backend/cpu/kernels/table.h"

namespace barcodemae::cpu {

constinit const Kernels kAvx512Kernels = make_table(SimdLevel::kAvx512);

}  // namespace barcodemae::cpu
