// SPDX-License-Identifier: MIT
// tokenizer.json and tokenizer_config.json, from which transformers' AutoTokenizer makes the very
// ids of KmerTokenizer out of raw sequences (frame offset 0, stride = k; marker coordinates are
// beyond it).
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "nn/config.h"
#include "tokenizer/kmer_tokenizer.h"

namespace barcodemae {

std::string write_tokenizer_json(const KmerTokenizer& tokenizer);
std::string write_tokenizer_config_json(const KmerTokenizer& tokenizer);

// Parts that files of other kinds of tokens have too.

/// "added_tokens": ids 0, 1, …
nlohmann::ordered_json special_tokens_json(std::span<const std::string> specials);
/// "normalizer": as the readers and KmerTokenizer do it. `max_bases` 0: not cut.
nlohmann::ordered_json sequence_normaliser_json(int max_bases);
/// tokenizer_config.json: what each special token is for.
std::string special_token_roles_json(std::span<const std::string> specials, int max_tokens);

/// The vocabulary of a tokenizer.json written so: special tokens, then the 4^k k-mers in order.
/// Throws UserError naming `source` and the token out of place.
KmerVocabulary read_vocabulary(std::string_view text, const std::string& source,
                               const ModelConfig& config);

}  // namespace barcodemae
