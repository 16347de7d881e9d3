// SPDX-License-Identifier: MIT
#include "sequence/normalise.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "sequence/line_reader.h"

namespace barcodemae {
namespace {

enum : unsigned { kLowerCase = 1, kUracil = 2, kGap = 4, kCode = 8, kN = 16, kInvalid = 32 };

struct Character {
  char base = 0;  ///< 0: dropped
  std::uint8_t classes = 0;
};

constexpr std::array<Character, 256> make_characters() {
  std::array<Character, 256> table{};
  for (Character& entry : table) entry.classes = kInvalid;
  for (const char c : std::string_view(" \t\r\n\v\f"))
    table[static_cast<unsigned char>(c)] = {0, 0};
  for (const char c : std::string_view("-.")) table[static_cast<unsigned char>(c)] = {0, kGap};
  for (const char c : std::string_view("ACGTURYSWKMBDHVN")) {
    const bool plain = c == 'A' || c == 'C' || c == 'G' || c == 'T' || c == 'U';
    const unsigned classes = c == 'U' ? kUracil : c == 'N' ? kN : plain ? 0u : kCode;
    const char base = c == 'U' ? 'T' : c;
    table[static_cast<unsigned char>(c)] = {base, static_cast<std::uint8_t>(classes)};
    table[static_cast<unsigned char>(c + 32)] = {base,
                                                 static_cast<std::uint8_t>(classes | kLowerCase)};
  }
  return table;
}
constexpr std::array<Character, 256> kCharacters = make_characters();

constexpr std::size_t kBlock = 64;

/// Whether all kBlock characters are A, C, G or T, as almost all are. Without a way out in the
/// middle, so that the compiler makes a few vector instructions of it.
bool plain_block(const char* text) {
  unsigned char odd = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const char c = text[i];
    odd |= static_cast<unsigned char>((c != 'A') & (c != 'C') & (c != 'G') & (c != 'T'));
  }
  return odd == 0;
}

}  // namespace

void SequenceNormaliser::append(std::string_view text) {
  const std::size_t before = sequence_.size();
  if (before + text.size() > LineReader::kMaxTextBytes) {
    too_long_ = true;  // must not fill the memory: a genome is no barcode
    return;
  }
  sequence_.resize(before + text.size());
  char* out = sequence_.data() + before;
  unsigned seen = 0;
  for (std::size_t begin = 0; begin < text.size(); begin += kBlock) {
    const std::string_view block = text.substr(begin, kBlock);
    if (block.size() == kBlock && plain_block(block.data())) {
      std::memcpy(out, block.data(), kBlock);
      out += kBlock;
      continue;
    }
    for (const char c : block) {
      const Character character = kCharacters[static_cast<unsigned char>(c)];
      *out = character.base;
      out += character.base != 0;
      seen |= character.classes;
    }
  }
  sequence_.resize(static_cast<std::size_t>(out - sequence_.data()));
  if ((seen & kInvalid) != 0 && (seen_ & kInvalid) == 0) {
    for (const char c : text) {
      if ((kCharacters[static_cast<unsigned char>(c)].classes & kInvalid) != 0) {
        invalid_ = c;
        break;
      }
    }
  }
  seen_ |= seen;
}

std::string SequenceNormaliser::finish(SequenceTraits& traits) {
  traits = {};
  if ((seen_ & kInvalid) != 0) {
    const auto byte = static_cast<unsigned char>(invalid_);
    if (byte > ' ' && byte < 0x7f) return fmt::format("'{}' stands for no base", invalid_);
    return fmt::format("byte 0x{:02x} stands for no base", byte);
  }
  if (too_long_) return "the sequence is too long";
  if (sequence_.empty()) return "no sequence";
  traits.lower_case = (seen_ & kLowerCase) != 0;
  traits.uracil = (seen_ & kUracil) != 0;
  traits.gaps = (seen_ & kGap) != 0;
  traits.ambiguous = (seen_ & kCode) != 0;
  if ((seen_ & kN) != 0) {
    const std::size_t last = sequence_.find_last_not_of('N');
    if (last == std::string::npos) return "nothing but N";
    traits.trailing_n = last + 1 < sequence_.size();
    sequence_.resize(last + 1);
    traits.ambiguous = traits.ambiguous || sequence_.find('N') != std::string::npos;
  }
  return {};
}

}  // namespace barcodemae
