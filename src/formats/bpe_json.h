// SPDX-License-Identifier: MIT
// tokenizer.json of type BPE (Hugging Face's `tokenizers`).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/bpe_tokenizer.h"

namespace barcodemae {

struct BpeFile {
  BpeVocabulary vocabulary;  ///< special tokens first, [MASK] and [UNK] leading
  /// What each of its ids is in the file, where special tokens may be anywhere.
  std::vector<std::int32_t> id_in_file;
};

/// Is it a tokenizer.json of type BPE? Throws UserError when it is no JSON object.
bool is_bpe_json(std::string_view text, const std::string& source);

/// Throws UserError naming `source` and the key for anything that would make other tokens of a
/// sequence of upper-case letters than BpeTokenizer does: dropout, a normaliser, a pre-tokenizer
/// that parts letters, subword prefixes, byte fallback.
BpeFile read_bpe_json(std::string_view text, const std::string& source);

/// A file from which AutoTokenizer makes our very ids out of raw sequences (uncut).
std::string write_bpe_json(const BpeVocabulary& vocabulary);
std::string write_bpe_tokenizer_config_json(const BpeTokenizer& tokenizer);

}  // namespace barcodemae
