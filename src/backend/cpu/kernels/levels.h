// SPDX-License-Identifier: MIT
// The tables that kernels.cc chooses from, one per file compiled for an instruction set.
#pragma once

#include "backend/cpu/kernels/kernels.h"

namespace barcodemae::cpu {

extern const Kernels kPlainKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx512Bf16Kernels;
extern const Kernels kAmxKernels;
#endif

}  // namespace barcodemae::cpu
