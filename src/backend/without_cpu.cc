// SPDX-License-Identifier: MIT
// In place of the CPU backend where it was not built (BARCODEMAE_CPU=OFF).
#include "backend/cpu/cpu.h"
#include "base/error.h"

namespace barcodemae {
namespace {

[[noreturn]] void refuse() {
  throw UserError("this barcodemae was built without the CPU backend\nUse another device.");
}

}  // namespace

std::unique_ptr<Backend> make_cpu_backend() { refuse(); }

namespace cpu {

bool has_precision(DType) { return false; }
void require_precision(DType) { refuse(); }
DType faster_precision() { refuse(); }
std::string gemm_library() { refuse(); }

}  // namespace cpu
}  // namespace barcodemae
