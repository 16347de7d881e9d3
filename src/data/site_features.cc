// SPDX-License-Identifier: MIT
#include "data/site_features.h"

#include <algorithm>
#include <cstddef>

#include "base/error.h"
#include "data/marker_sites.h"

namespace barcodemae {
namespace {

constexpr std::size_t kBases = 4;

/// Places of k-mers, [CLS] not among them.
int places(const KmerTokenizer& tokenizer) {
  return tokenizer.max_tokens() - (tokenizer.vocabulary().cls() >= 0 ? 1 : 0);
}

}  // namespace

bool has_site_features(const SequenceCoder& coder) { return coder.profile && !coder.bpe; }

int site_feature_count(const SequenceCoder& coder) {
  if (!has_site_features(coder)) return 0;
  return places(coder.tokenizer) * coder.tokenizer.vocabulary().k * static_cast<int>(kBases);
}

void write_site_features(const SequenceCoder& coder, const TokenSequence& tokens,
                         std::span<float> features) {
  BARCODEMAE_CHECK(static_cast<int>(features.size()) == site_feature_count(coder), "{} features",
                   features.size());
  std::fill(features.begin(), features.end(), 0.0f);
  const KmerVocabulary& vocabulary = coder.tokenizer.vocabulary();
  const int k = vocabulary.k, first_place = vocabulary.cls() >= 0 ? 1 : 0;
  for (std::size_t t = 0; t < tokens.ids.size(); ++t) {
    const std::int32_t kmer = tokens.ids[t] - vocabulary.first_kmer();
    const int place = tokens.positions[t] - first_place;
    if (kmer < 0 || kmer >= vocabulary.kmers() || place < 0 || place >= places(coder.tokenizer)) {
      continue;
    }
    for (int i = 0; i < k; ++i) {
      const int site = coder.profile->codon_start() + place * coder.tokenizer.stride() + i;
      if (site >= coder.profile->length()) break;
      const auto numbers = features.subspan(kBases * static_cast<std::size_t>(place * k + i));
      write_centred(numbers.first<kBases>(),
                    static_cast<std::size_t>(kmer >> (2 * (k - 1 - i)) & 3),
                    coder.profile->frequencies()[static_cast<std::size_t>(site)]);
    }
  }
}

}  // namespace barcodemae
