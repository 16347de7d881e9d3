// SPDX-License-Identifier: MIT
#include "backend/backends.h"

#include <charconv>

#include "base/error.h"

namespace barcodemae {

std::optional<DeviceName> parse_device(std::string_view name) {
  using Kind = DeviceName::Kind;
  for (const Kind kind : {Kind::kCpu, Kind::kReference, Kind::kCuda}) {
    if (name == to_string(kind)) return DeviceName{kind, std::nullopt};
  }
  constexpr std::string_view kPrefix = "cuda:";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int number = 0;
  const char* end = name.data() + name.size();
  const auto result = std::from_chars(name.data() + kPrefix.size(), end, number);
  if (result.ec != std::errc() || result.ptr != end || number < 0) return std::nullopt;
  return DeviceName{Kind::kCuda, number};
}

const char* to_string(DeviceName::Kind kind) {
  switch (kind) {
    case DeviceName::Kind::kCpu:
      return "cpu";
    case DeviceName::Kind::kReference:
      return "reference";
    case DeviceName::Kind::kCuda:
      break;
  }
  return "cuda";
}

bool has_precision(DeviceName::Kind kind, DType precision) {
  switch (kind) {
    case DeviceName::Kind::kCpu:
      return cpu::has_precision(precision);
    case DeviceName::Kind::kReference:
      return precision != DType::kBFloat16;
    case DeviceName::Kind::kCuda:
      return precision != DType::kInt8;
  }
  return false;
}

DType preferred_cpu_precision() {
  static const DType faster = cpu::faster_precision();
  return faster;
}

std::string cpu_matrix_library() { return cpu::gemm_library(); }

std::unique_ptr<Backend> make_backend(const std::string& name) {
  const std::optional<DeviceName> device = parse_device(name);
  if (!device) throw UserError("There is no device '{}'.\nUse {}.", name, kDeviceNames);
  switch (device->kind) {
    case DeviceName::Kind::kCpu:
      return make_cpu_backend();
    case DeviceName::Kind::kReference:
      return make_reference_backend();
    case DeviceName::Kind::kCuda:
      break;
  }
  return make_cuda_backend(device->number);
}

}  // namespace barcodemae
