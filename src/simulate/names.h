// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

namespace barcodemae {

/// Names that look like taxa and are none: a number as syllables, with the ending of the rank.
/// Different numbers below a million give different names.
std::string class_name(std::int64_t number);
std::string order_name(std::int64_t number);
std::string family_name(std::int64_t number);
std::string subfamily_name(std::int64_t number);
std::string genus_name(std::int64_t number);
std::string species_epithet(std::int64_t number);
/// "SIM:AAA0001", after the BINs of BOLD.
std::string bin_name(std::int64_t number);

}  // namespace barcodemae
