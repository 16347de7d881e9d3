// SPDX-License-Identifier: MIT
#include "backend/cpu/cpu.h"
#include "backend/reference/reference_backend.h"
#include "base/error.h"
#include "base/machine.h"
#include "precision.h"

namespace barcodemae::test {

std::vector<Precision> tested_precisions(std::string& why_not) {
  try {
    machine();
  } catch (const UserError& error) {  // BARCODEMAE_SIMD asks for more than there is
    why_not = error.what();
    return {};
  }
  std::vector<Precision> precisions{
      {"cpu_float32", make_cpu_backend, DType::kFloat32, 5e-6, 5e-6},
      {"reference_float32", make_reference_backend, DType::kFloat32, 5e-7, 5e-7}};
  if (machine().simd >= SimdLevel::kAvx512) {
    precisions.push_back({"cpu_bfloat16", make_cpu_backend, DType::kBFloat16, 1.5e-2, 8e-3});
  }
  if (cpu::has_precision(DType::kInt8)) {
    precisions.push_back({"cpu_int8", make_cpu_backend, DType::kInt8, 3e-2, 1.2e-2});
  }
  return precisions;
}

std::vector<std::string> tested_backends() { return {"cpu", "reference"}; }

}  // namespace barcodemae::test
