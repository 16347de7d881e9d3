// SPDX-License-Identifier: MIT
#include "sequence/text.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace barcodemae {
namespace {

bool is_space_or_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= ' ' || byte == 0x7f;
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

/// Length of the valid UTF-8 character at the beginning of `text`; 0 if there is none.
std::size_t utf8_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t length = first < 0x80                    ? 1
                             : first >= 0xc2 && first < 0xe0 ? 2
                             : first >= 0xe0 && first < 0xf0 ? 3
                             : first >= 0xf0 && first < 0xf5 ? 4
                                                             : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!is_continuation(text[i])) return 0;
  }
  if (length > 2) {  // overlong forms, surrogates, beyond U+10FFFF
    const auto second = static_cast<unsigned char>(text[1]);
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) {
      return 0;
    }
  }
  return length;
}

}  // namespace

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space_or_control(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space_or_control(text.back())) text.remove_suffix(1);
  return text;
}

std::string clean_text(std::string_view text) {
  text = trim(text);
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      const auto byte = static_cast<unsigned char>(text[0]);
      clean += static_cast<char>(0xc0 | (byte >> 6));
      clean += static_cast<char>(0x80 | (byte & 0x3f));
      text.remove_prefix(1);
    } else if (length == 1) {
      clean += is_space_or_control(text[0]) ? ' ' : text[0];
      text.remove_prefix(1);
    } else {
      clean += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return clean;
}

void clean_text_in_place(std::string& text) {
  bool plain = true;  // no way out in the middle: quick to see for a vector of characters
  for (const char c : text) plain &= c >= ' ' && c < 0x7f;  // bytes from 0x80 are negative
  if (plain && (text.empty() || (text.front() != ' ' && text.back() != ' '))) return;
  text = clean_text(text);
}

std::string excerpt(std::string_view text, std::size_t bytes) {
  const bool cut = text.size() > bytes;
  if (cut) {
    text = text.substr(0, bytes);
    // Not in the middle of a character: its first bytes would be taken for Latin-1.
    for (int i = 0; i < 3 && !text.empty() && is_continuation(text.back()); ++i) {
      text.remove_suffix(1);
    }
    if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xc0) text.remove_suffix(1);
  }
  return clean_text(text) + (cut ? "…" : "");
}

bool is_missing_label(std::string_view text) {
  static constexpr std::array<std::string_view, 5> kAsWritten = {"NA", "N/A", "NaN", "nan", "-"};
  static constexpr std::array<std::string_view, 6> kInAnyCase = {
      "none", "null", "unknown", "unclassified", "not_classified", "unidentified"};
  static constexpr std::string_view kUncertain = "incertae sedis", kJoined = "incertae_sedis";
  const std::string_view end = text.substr(text.size() - std::min(text.size(), kUncertain.size()));
  const auto is = [&](std::string_view word) { return equals_ignoring_case(text, word); };
  return text.empty() || std::ranges::find(kAsWritten, text) != kAsWritten.end() ||
         std::ranges::any_of(kInAnyCase, is) || equals_ignoring_case(end, kUncertain) ||
         equals_ignoring_case(end, kJoined);
}

bool names_no_species(std::string_view text) {
  return text.ends_with(" sp.") || text.ends_with(" sp") || text.ends_with("_sp") ||
         text.ends_with("_sp.");
}

void append_unescaped(std::string& out, std::string_view quoted) {
  for (std::size_t i = 0; i < quoted.size(); ++i) {
    out += quoted[i];
    if (quoted[i] == '"' && i + 1 < quoted.size() && quoted[i + 1] == '"') ++i;
  }
}

std::string listed(const std::vector<std::string>& names) {
  constexpr std::ptrdiff_t kShown = 12;
  const std::ptrdiff_t shown = std::min(kShown, std::ssize(names));
  return fmt::format("{}{}", fmt::join(names.begin(), names.begin() + shown, ", "),
                     shown < std::ssize(names) ? ", …" : "");
}

bool equals_ignoring_case(std::string_view left, std::string_view right) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [&](char a, char b) { return lower(a) == lower(b); });
}

}  // namespace barcodemae
