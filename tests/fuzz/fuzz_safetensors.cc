// SPDX-License-Identifier: MIT
// Any bytes are a valid safetensors file or a UserError; every tensor of a valid one can be read.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "formats/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace barcodemae;
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  try {
    const auto file = SafetensorsFile::from_memory({bytes, bytes + size}, "fuzz.safetensors");
    for (const auto& [name, entry] : file.entries()) {
      unsigned sum = 0;
      for (const std::byte byte : file.bytes(name)) sum += static_cast<unsigned>(byte);
      const std::int64_t cols = entry.shape.empty() ? 1 : entry.shape.back();
      const std::int64_t rows = entry.shape.size() == 2 ? entry.shape[0] : 1;
      try {
        const std::vector<float> values = file.floats(name, rows, cols);
        if (static_cast<std::int64_t>(values.size()) != rows * cols) __builtin_trap();
      } catch (const UserError&) {  // of another rank or type
      }
      if (sum == 0xFFFFFFFF) return 1;  // keeps the loop
    }
  } catch (const UserError&) {
  }
  return 0;
}
