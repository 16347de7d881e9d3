// SPDX-License-Identifier: MIT
#include "backend/backends.h"

#include "backend/cpu/cpu.h"
#include "backend/reference/reference_backend.h"
#include "base/error.h"

namespace barcodemae {

DType preferred_cpu_precision() {
  static const DType faster = cpu::faster_precision();
  return faster;
}

std::string cpu_matrix_library() { return cpu::gemm_library(); }

std::unique_ptr<Backend> make_backend(const std::string& name) {
  if (name == "cpu") return make_cpu_backend();
  if (name == "reference") return make_reference_backend();
  throw UserError("There is no device '{}'.\nUse cpu or reference.", name);
}

}  // namespace barcodemae
