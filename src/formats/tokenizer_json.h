// SPDX-License-Identifier: MIT
// tokenizer.json and tokenizer_config.json, from which transformers' AutoTokenizer makes the very
// ids of KmerTokenizer out of raw sequences (frame offset 0, stride = k; marker coordinates are
// beyond it).
#pragma once

#include <string>
#include <string_view>

#include "nn/config.h"
#include "tokenizer/kmer_tokenizer.h"

namespace barcodemae {

std::string write_tokenizer_json(const KmerTokenizer& tokenizer);
std::string write_tokenizer_config_json(const KmerTokenizer& tokenizer);

/// The vocabulary of a tokenizer.json written so: special tokens, then the 4^k k-mers in order.
/// Throws UserError naming `source` and the token out of place.
KmerVocabulary read_vocabulary(std::string_view text, const std::string& source,
                               const ModelConfig& config);

}  // namespace barcodemae
