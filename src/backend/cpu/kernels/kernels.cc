// SPDX-License-Identifier: MIT
#include "backend/cpu/kernels/kernels.h"

#include "backend/cpu/kernels/levels.h"
#include "base/error.h"

namespace barcodemae::cpu {

const Kernels& kernels(SimdLevel level) {
  BARCODEMAE_CHECK(level <= machine().simd, "no {} on this machine", to_string(level));
  switch (level) {
#if defined(__x86_64__)
    case SimdLevel::kAmx:
      return kAmxKernels;
    case SimdLevel::kAvx512Bf16:
      return kAvx512Bf16Kernels;
    case SimdLevel::kAvx512:
      return kAvx512Kernels;
    case SimdLevel::kAvx2:
      return kAvx2Kernels;
#endif
    default:
      return kPlainKernels;
  }
}

const Kernels& kernels() { return kernels(machine().simd); }

}  // namespace barcodemae::cpu
