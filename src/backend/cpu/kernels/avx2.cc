// SPDX-License-Identifier: MIT
// Kernels for AVX2 and FMA.
#include "backend/cpu/kernels/levels.h"
#include "backend/cpu/kernels/table.h"

namespace barcodemae::cpu {

constinit const Kernels kAvx2Kernels = make_table(SimdLevel::kAvx2);

}  // namespace barcodemae::cpu
