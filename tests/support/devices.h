// SPDX-License-Identifier: MIT
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

namespace barcodemae {

/// Lets "cuda" be the backend's own code on the CPU (tests/cuda_emulation), unless the variable
/// names a plugin: "" in it is that of the build, for a GPU. False: this build cannot.
inline bool emulate_cuda() {
  const std::string emulated = BARCODEMAE_CUDA_EMULATED;
  if (emulated.empty()) return std::getenv("BARCODEMAE_CUDA_PLUGIN") != nullptr;
  ::setenv("BARCODEMAE_CUDA_PLUGIN", emulated.c_str(), /*overwrite=*/0);
  return true;
}

/// Every device that a test can run on here, as make_backend() knows it.
inline std::vector<std::string> test_devices() {
  std::vector<std::string> devices{"reference", "cpu"};
  if (emulate_cuda()) devices.push_back("cuda");
  return devices;
}

}  // namespace barcodemae
