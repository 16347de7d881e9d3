// SPDX-License-Identifier: MIT
// Kernels for AVX-512 with BF16.
#include "backend/cpu/kernels/levels.h"
#include "backend/cpu/kernels/table.h"

namespace barcodemae::cpu {

constinit const Kernels kAvx512Bf16Kernels = make_table(SimdLevel::kAvx512Bf16);

}  // namespace barcodemae::cpu
