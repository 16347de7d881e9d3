// SPDX-License-Identifier: MIT
// The invertebrate mitochondrial genetic code (NCBI translation table 5).
#pragma once

#include <cstdint>
#include <string_view>

namespace barcodemae {

/// Bases in the order A, C, G, T as 0 … 3; a codon is 16 · first + 4 · second + third.
inline constexpr std::string_view kBases = "ACGT";

/// Amino acids in the order of their one-letter codes; the stop last.
inline constexpr std::string_view kAminoAcids = "ACDEFGHIKLMNPQRSTVWY*";
inline constexpr int kAminoAcidCount = 20;
inline constexpr int kStop = 20;

/// Index into kAminoAcids of what a codon stands for.
int translate(std::uint8_t codon);

/// Index of an amino acid by its letter.
int amino_acid(char letter);

}  // namespace barcodemae
