// SPDX-License-Identifier: MIT
#include "tensor/quantisation.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace barcodemae {

float int8_scale(std::span<const float> row) {
  float largest = 0;
  for (const float value : row) largest = std::max(largest, std::abs(value));
  // Below the normal numbers 16 bits are not to be had: such weights are 0.
  constexpr float kSmallest = 0x1p-100f;
  if (largest < kSmallest) return 0;
  const auto bits = std::bit_cast<std::uint32_t>(largest / 127);
  return std::bit_cast<float>((bits + 0xFF) & ~0xFFu);
}

void quantise_int8(std::span<std::int8_t> quantised, std::span<const float> row, float scale) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    quantised[i] =
        scale > 0 ? static_cast<std::int8_t>(std::nearbyint(row[i] / scale)) : std::int8_t{0};
  }
}

}  // namespace barcodemae
