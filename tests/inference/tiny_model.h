// SPDX-License-Identifier: MIT
// A small model and odd sequences for the tests of this folder.
#pragma once

#include <string>
#include <vector>

#include "base/random.h"
#include "formats/model_directory.h"

namespace barcodemae {

inline ModelDescription tiny_description() {
  ModelDescription description;
  description.config.encoder = {48, 2, 3, 96, 1e-12f};
  description.config.decoder = description.config.encoder;
  description.config.k = 3;
  description.config.vocabulary = 66;
  description.config.max_positions = 64;
  description.coder.tokenizer = KmerTokenizer(KmerVocabulary{3, {"[MASK]", "[UNK]"}}, 3, 90);
  return description;
}

/// Random bases with some N, of length 0 … 110: beyond what the tokenizer keeps.
inline std::vector<std::string> odd_sequences(int count) {
  std::vector<std::string> sequences;
  for (int i = 0; i < count; ++i) {
    RandomSequence random(11, Stream::kSimulate, 0, static_cast<std::uint32_t>(i));
    std::string sequence(random.below(111), 'A');
    for (char& base : sequence) base = random.below(40) == 0 ? 'N' : "ACGT"[random.below(4)];
    sequences.push_back(std::move(sequence));
  }
  return sequences;
}

}  // namespace barcodemae
