// SPDX-License-Identifier: MIT
#include "tensor/view.h"

namespace barcodemae {

const char* to_string(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "float32";
    case DType::kFloat64:
      return "float64";
    case DType::kBFloat16:
      return "bfloat16";
    case DType::kInt32:
      return "int32";
  }
  return "unknown";
}

}  // namespace barcodemae
