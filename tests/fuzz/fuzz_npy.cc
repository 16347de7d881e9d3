// SPDX-License-Identifier: MIT
// Any bytes are a matrix or a UserError.
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>

#include "base/error.h"
#include "formats/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace barcodemae;
  std::istringstream stream(std::string(reinterpret_cast<const char*>(data), size));
  try {
    const Matrix matrix = parse_npy(stream, size, "fuzz.npy");
    if (static_cast<std::int64_t>(matrix.values.size()) != matrix.rows * matrix.cols)
      __builtin_trap();
  } catch (const UserError&) {
  }
  return 0;
}
