// SPDX-License-Identifier: MIT
// Kernels for plain x86-64 (SSE2) or another architecture.
#include "backend/cpu/kernels/levels.h"
#include "backend/cpu/kernels/table.h"

namespace barcodemae::cpu {

constinit const Kernels kPlainKernels = make_table(SimdLevel::kScalar);

}  // namespace barcodemae::cpu
