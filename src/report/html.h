// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace barcodemae {

/// Text made safe for element content and quoted attributes; control characters become spaces.
std::string escape_html(std::string_view text);

/// A number as a person writes it: four significant digits, "12k", "1.5M", "2e-05".
std::string compact_number(double value);

}  // namespace barcodemae
