// SPDX-License-Identifier: MIT
// Reading the text of an option.
#pragma once

#include <charconv>
#include <string>
#include <system_error>

#include "base/error.h"

namespace barcodemae {

/// The whole text as a number; false when it is anything else.
template <typename Number>
bool parse_number(const std::string& text, Number& value) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  return result.ec == std::errc() && result.ptr == end;
}

/// Throws UserError: "--name text: expected …".
[[noreturn]] inline void reject(const std::string& name, const std::string& text,
                                const std::string& expected) {
  throw UserError("--{} {}: expected {}", name, text.empty() ? "''" : text, expected);
}

}  // namespace barcodemae
