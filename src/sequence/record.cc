// SPDX-License-Identifier: MIT
#include "sequence/record.h"

#include "base/error.h"

namespace barcodemae {

namespace {
constexpr std::array<const char*, kRankCount> kRankNames = {
    "kingdom", "phylum", "class", "order", "family", "subfamily", "genus", "species", "dna_bin"};
}

const char* to_string(Rank rank) {
  const auto index = static_cast<std::size_t>(rank);
  BARCODEMAE_CHECK(index < kRankCount, "no rank has the number {}", index);
  return kRankNames[index];
}

std::optional<Rank> parse_rank(std::string_view name) {
  if (name == "bin") return Rank::kBin;
  for (std::size_t i = 0; i < kRankCount; ++i) {
    if (name == kRankNames[i]) return static_cast<Rank>(i);
  }
  return std::nullopt;
}

}  // namespace barcodemae
