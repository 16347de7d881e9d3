// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <optional>
#include <vector>

namespace barcodemae {

/// How a coding region lies in the coordinates of a marker.
struct CodonPeriod {
  int start = 0;           ///< coordinate of the first base of the first whole codon: 0, 1 or 2
  bool backwards = false;  ///< the coordinates run along the non-coding strand
};

/// Reads the codons off the variability of the sites (relative frequencies of A, C, G, T): third
/// codon positions vary most, since the code is degenerate there, and second ones least, since any
/// change there changes the amino acid. nullopt unless one position of the three varies clearly
/// more than either other.
std::optional<CodonPeriod> find_codon_period(const std::vector<std::array<float, 4>>& frequencies);

}  // namespace barcodemae
