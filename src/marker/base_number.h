// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace barcodemae {

inline constexpr std::string_view kBases = "ACGT";

/// Place of a base in ACGT; −1 for anything else.
constexpr int base_number(char base) {
  switch (base) {
    case 'A':
      return 0;
    case 'C':
      return 1;
    case 'G':
      return 2;
    case 'T':
      return 3;
    default:
      return -1;
  }
}

}  // namespace barcodemae
