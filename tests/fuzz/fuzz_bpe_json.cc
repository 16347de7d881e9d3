// SPDX-License-Identifier: MIT
// Any text as a tokenizer.json of byte pairs: a tokenizer that comes back the same from being
// written, or a UserError.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "formats/bpe_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace barcodemae;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  constexpr std::string_view kSequence = "ACGTTGCAACCTGANACGTTTACCTGAACCRRNAAAAAAAAC";
  std::optional<BpeTokenizer> tokenizer;
  try {
    tokenizer.emplace(read_bpe_json(text, "fuzz").vocabulary, 64);
  } catch (const UserError&) {
    return 0;
  }
  const TokenSequence tokens = tokenizer->tokenize(kSequence);
  for (const std::int32_t id : tokens.ids)
    if (id < 0 || static_cast<std::size_t>(id) >= tokenizer->vocabulary().tokens.size())
      std::abort();
  const std::string written = write_bpe_json(tokenizer->vocabulary());
  // An exception here is a finding.
  const BpeTokenizer again(read_bpe_json(written, "written").vocabulary, 64);
  if (again.tokenize(kSequence).ids != tokens.ids) std::abort();
  return 0;
}
