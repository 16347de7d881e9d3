// SPDX-License-Identifier: MIT
#include "backend/backends.h"
#include "devices.h"
#include "precision.h"

namespace barcodemae::test {
namespace {

std::unique_ptr<Backend> make_cuda() { return make_backend("cuda"); }

}  // namespace

std::vector<Precision> tested_precisions(std::string& why_not) {
  if (!emulate_cuda()) {
    why_not = "built without the emulation of CUDA";
    return {};
  }
  return {{"cuda_float32", make_cuda, DType::kFloat32, 5e-6, 5e-6},
          {"cuda_bfloat16", make_cuda, DType::kBFloat16, 1.5e-2, 8e-3}};
}

std::vector<std::string> tested_backends() { return {"cuda"}; }

}  // namespace barcodemae::test
