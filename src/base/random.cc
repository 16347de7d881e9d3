// SPDX-License-Identifier: MIT
#include "base/random.h"

#include <cmath>
#include <numbers>

namespace barcodemae {

double RandomSequence::uniform() {
  const std::uint64_t high = (*this)() >> 5;  // 27 bits
  const std::uint64_t low = (*this)() >> 6;   // 26 bits
  return static_cast<double>((high << 26) | low) * 0x1.0p-53;
}

std::uint32_t RandomSequence::below(std::uint32_t bound) {
  // Lemire, "Fast random integer generation in an interval", 2019: rejects the biased remainder.
  std::uint64_t product = std::uint64_t{(*this)()} * bound;
  if (static_cast<std::uint32_t>(product) < bound) {
    const std::uint32_t threshold = (0u - bound) % bound;
    while (static_cast<std::uint32_t>(product) < threshold) {
      product = std::uint64_t{(*this)()} * bound;
    }
  }
  return static_cast<std::uint32_t>(product >> 32);
}

double RandomSequence::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

}  // namespace barcodemae
