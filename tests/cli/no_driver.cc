// SPDX-License-Identifier: MIT
// A libcuda.so.1 without a GPU, of the version that NO_DRIVER_VERSION says.
#include <cstdlib>
#include <string_view>

namespace {
constexpr int kSuccess = 0, kNoDevice = 100, kNotFound = 500;
}

extern "C" {
int cuInit(unsigned) { return kNoDevice; }
int cuDriverGetVersion(int* version) {
  const char* text = std::getenv("NO_DRIVER_VERSION");
  *version = text == nullptr ? 0 : std::atoi(text);
  return kSuccess;
}
// How CUDA's runtime library finds functions, this one too, and that there are no more.
int cuGetProcAddress_v2(const char* name, void** function, int, unsigned long, void*) {
  const std::string_view wanted = name;
  *function = nullptr;
  if (wanted == "cuInit") *function = reinterpret_cast<void*>(&cuInit);
  if (wanted == "cuDriverGetVersion") *function = reinterpret_cast<void*>(&cuDriverGetVersion);
  if (wanted == "cuGetProcAddress") *function = reinterpret_cast<void*>(&cuGetProcAddress_v2);
  return *function == nullptr ? kNotFound : kSuccess;
}
}
