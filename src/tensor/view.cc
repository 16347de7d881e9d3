// SPDX-License-Identifier: MIT
#include "tensor/view.h"

#include <string>

#include "base/error.h"

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
    case DType::kInt8:
      return "int8";
  }
  return "unknown";
}

const char* precision_name(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "f32";
    case DType::kFloat64:
      return "f64";
    case DType::kBFloat16:
      return "bf16";
    default:
      return to_string(dtype);
  }
}

DType precision_named(std::string_view name) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kBFloat16, DType::kInt8}) {
    if (name == precision_name(dtype)) return dtype;
  }
  throw InternalError("no precision " + std::string(name));
}

}  // namespace barcodemae
