// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace barcodemae {

/// Reverse complement; IUPAC codes are complemented too, other characters stay as they are.
std::string reverse_complement(std::string_view sequence);

}  // namespace barcodemae
