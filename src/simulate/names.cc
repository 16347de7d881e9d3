// SPDX-License-Identifier: MIT
#include "simulate/names.h"

#include <fmt/format.h>

#include <string_view>

namespace barcodemae {
namespace {

/// Three syllables of a consonant and a vowel, more for numbers from a million on. Neighbouring
/// numbers are spread (the factor has no divisor in common with 100), from another beginning for
/// every ending.
std::string syllables(std::int64_t number, std::string_view ending) {
  constexpr std::string_view kConsonants = "bcdfghklmnprstvzxjqy", kVowels = "aeiou";
  constexpr std::int64_t kSyllables = 1000000, kFactor = 618033;
  std::string name;
  for (std::int64_t rest = number / kSyllables; rest > 0; rest /= 100) {
    name += kConsonants[static_cast<std::size_t>(rest % 100 / 5)];
    name += kVowels[static_cast<std::size_t>(rest % 5)];
  }
  std::int64_t beginning = 0;
  for (const char letter : ending) beginning = 31 * beginning + letter;
  std::int64_t spread = (number % kSyllables + beginning % kSyllables) * kFactor % kSyllables;
  for (int i = 0; i < 3; ++i, spread /= 100) {
    name += kConsonants[static_cast<std::size_t>(spread % 100 / 5)];
    name += kVowels[static_cast<std::size_t>(spread % 5)];
  }
  name += ending;
  return name;
}

std::string capitalised(std::string name) {
  name[0] = static_cast<char>(name[0] - 'a' + 'A');
  return name;
}

}  // namespace

std::string class_name(std::int64_t number) { return capitalised(syllables(number, "poda")); }
std::string order_name(std::int64_t number) { return capitalised(syllables(number, "ptera")); }
std::string family_name(std::int64_t number) { return capitalised(syllables(number, "idae")); }
std::string subfamily_name(std::int64_t number) { return capitalised(syllables(number, "inae")); }
std::string genus_name(std::int64_t number) { return capitalised(syllables(number, "s")); }
std::string species_epithet(std::int64_t number) { return syllables(number, "nis"); }

std::string bin_name(std::int64_t number) {
  const std::int64_t letters = number / 10000;
  const auto letter = [&](std::int64_t divisor) {
    return static_cast<char>('A' + letters / divisor % 26);
  };
  return fmt::format("SIM:{}{}{}{:04}", letter(676), letter(26), letter(1), number % 10000);
}

}  // namespace barcodemae
