// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace barcodemae {

/// Taxonomic ranks in descending order; the BIN (Barcode Index Number) stands for the putative
/// species of a barcode.
enum class Rank : std::uint8_t {
  kKingdom,
  kPhylum,
  kClass,
  kOrder,
  kFamily,
  kSubfamily,
  kGenus,
  kSpecies,
  kBin
};
inline constexpr std::size_t kRankCount = 9;

/// The column name: "kingdom" … "species", "dna_bin".
const char* to_string(Rank rank);
/// Accepts the column names and "bin"; nullopt for anything else.
std::optional<Rank> parse_rank(std::string_view name);

/// The name of a split here: "validation" is BIOSCAN-5M's "val"; others are kept.
inline std::string canonical_split(std::string_view name) {
  return std::string(name == "validation" ? "val" : name);
}

/// One barcode as read: normalised sequence, labels where there are any (missing = empty).
struct Record {
  std::string id;
  /// Upper-case A, C, G, T and IUPAC codes as filed; gaps dropped, U as T, trailing N stripped.
  std::string sequence;
  std::array<std::string, kRankCount> labels;
  std::string split;      ///< empty when the file has no such column
  std::string country;    ///< empty when the file has no such column
  std::int64_t line = 0;  ///< line of the file on which the record begins, from 1

  const std::string& label(Rank rank) const { return labels[static_cast<std::size_t>(rank)]; }
  std::string& label(Rank rank) { return labels[static_cast<std::size_t>(rank)]; }
};

}  // namespace barcodemae
