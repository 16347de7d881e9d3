// SPDX-License-Identifier: MIT
#include "marker/reverse_complement.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace barcodemae {
namespace {

constexpr std::array<char, 256> complements() {
  std::array<char, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = static_cast<char>(i);
  constexpr std::string_view kCodes = "ACGTRYSWKMBDHVN";
  constexpr std::string_view kPartners = "TGCAYRSWMKVHDBN";
  for (std::size_t i = 0; i < kCodes.size(); ++i) {
    table[static_cast<unsigned char>(kCodes[i])] = kPartners[i];
  }
  return table;
}
constexpr std::array<char, 256> kComplement = complements();

}  // namespace

std::string reverse_complement(std::string_view sequence) {
  std::string result(sequence.size(), '\0');
  std::transform(sequence.rbegin(), sequence.rend(), result.begin(),
                 [](char base) { return kComplement[static_cast<unsigned char>(base)]; });
  return result;
}

}  // namespace barcodemae
