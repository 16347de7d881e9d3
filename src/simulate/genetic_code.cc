// SPDX-License-Identifier: MIT
#include "simulate/genetic_code.h"

#include <array>

namespace barcodemae {
namespace {

// By codon. Other than in the standard code, AGA and AGG are Ser, ATA is Met and TGA is Trp.
constexpr std::string_view kTable5 =
    "KNKNTTTTSSSSMIMI"   // A..
    "QHQHPPPPRRRRLLLL"   // C..
    "EDEDAAAAGGGGVVVV"   // G..
    "*Y*YSSSSWCWCLFLF";  // T..

constexpr std::array<std::uint8_t, 64> make_translation() {
  std::array<std::uint8_t, 64> table{};
  for (std::size_t codon = 0; codon < table.size(); ++codon) {
    table[codon] = static_cast<std::uint8_t>(kAminoAcids.find(kTable5[codon]));
  }
  return table;
}
constexpr std::array<std::uint8_t, 64> kTranslation = make_translation();

}  // namespace

int translate(std::uint8_t codon) { return kTranslation[codon]; }

int amino_acid(char letter) { return static_cast<int>(kAminoAcids.find(letter)); }

}  // namespace barcodemae
