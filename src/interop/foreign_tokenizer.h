// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/sequence_coder.h"
#include "interop/checkpoint_facts.h"

namespace barcodemae {

/// What a user says of a model whose files do not.
struct ImportOptions {
  std::optional<int> k, stride, max_bases;
  std::string tokenizer;  ///< a tokenizer.json, or a folder with one; empty: none
  bool cls = false;       ///< every sequence of k-mers begins with [CLS]
};

struct ForeignTokenizer {
  SequenceCoder coder{KmerTokenizer{KmerVocabulary{}}, std::nullopt};
  /// What each of our ids is in the file: the row of its word table that we take.
  std::vector<std::int32_t> id_in_file;
};

/// The tokenizer of a model with `vocabulary` words and `positions`: from tokenizer.json or
/// vocab.txt, else k-mers by the options, the checkpoint's own or config files. Throws UserError
/// (what is missing, which option gives it) when nothing tells, or when one thing contradicts
/// another.
ForeignTokenizer read_foreign_tokenizer(const CheckpointFacts& facts, const ImportOptions& options,
                                        int vocabulary, int positions);

}  // namespace barcodemae
