// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>

namespace barcodemae {

/// FNV-1a (Fowler, Noll, Vo), 64 bits: the same everywhere, as std::hash is not. For names that
/// nobody chooses so that they collide.
constexpr std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char character : text) {
    hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001B3;
  }
  return hash;
}

}  // namespace barcodemae
