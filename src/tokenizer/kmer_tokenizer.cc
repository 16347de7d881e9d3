// SPDX-License-Identifier: MIT
#include "tokenizer/kmer_tokenizer.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "base/error.h"

namespace barcodemae {
namespace {

constexpr std::string_view kBases = "ACGT";
constexpr std::uint32_t kAmbiguous = 0x80000000;  // survives OR-ing the bases of a k-mer

constexpr std::array<std::uint32_t, 256> base_codes() {
  std::array<std::uint32_t, 256> codes{};
  codes.fill(kAmbiguous);
  for (std::uint32_t base = 0; base < 4; ++base) {
    codes[static_cast<unsigned char>(kBases[base])] = base;
  }
  return codes;
}
constexpr std::array<std::uint32_t, 256> kBaseCode = base_codes();

std::int32_t power_of_five(int exponent) {
  std::int32_t power = 1;
  for (int i = 0; i < exponent; ++i) power *= 5;
  return power;
}

}  // namespace

std::int32_t KmerVocabulary::all_kmers() const { return n_kmers ? power_of_five(k) : kmers(); }

std::int32_t KmerVocabulary::cls() const {
  const auto place = std::find(specials.begin(), specials.end(), kCls);
  return place == specials.end() ? -1 : static_cast<std::int32_t>(place - specials.begin());
}

std::string KmerVocabulary::token(std::int32_t id) const {
  BARCODEMAE_CHECK(id >= 0 && id < size(), "token {} of a vocabulary of {}", id, size());
  if (id < first_kmer()) return specials[static_cast<std::size_t>(id)];
  std::string kmer(static_cast<std::size_t>(k), 'A');
  std::int32_t value = id - first_kmer();
  if (value >= kmers()) {  // the (value − 4^k)-th of those with an N
    value -= kmers();
    bool has_n = false;
    for (int place = 0; place < k; ++place) {
      const int rest = k - 1 - place;
      const std::int32_t without_n = has_n ? 0 : std::int32_t{1} << (2 * rest);
      const std::int32_t begun_by_base = power_of_five(rest) - without_n;
      const std::int32_t digit = std::min<std::int32_t>(4, value / std::max(begun_by_base, 1));
      const bool is_n = begun_by_base == 0 || digit == 4;
      value -= is_n ? 4 * begun_by_base : digit * begun_by_base;
      kmer[static_cast<std::size_t>(place)] = is_n ? 'N' : kBases[static_cast<std::size_t>(digit)];
      has_n = has_n || is_n;
    }
    return kmer;
  }
  for (auto base = kmer.rbegin(); base != kmer.rend(); ++base, value /= 4) {
    *base = kBases[static_cast<std::size_t>(value % 4)];
  }
  return kmer;
}

KmerTokenizer::KmerTokenizer(KmerVocabulary vocabulary, int stride, int max_bases)
    : vocabulary_(std::move(vocabulary)),
      stride_(stride),
      max_bases_(max_bases),
      cls_(vocabulary_.cls()) {
  const int k = vocabulary_.k;
  if (k < 1 || k > KmerVocabulary::kMaxK) {
    throw UserError("k-mer length {} is out of range: choose k between 1 and {}.", k,
                    KmerVocabulary::kMaxK);
  }
  if (vocabulary_.n_kmers && k > KmerVocabulary::kMaxKWithN) {
    throw UserError("k-mer length {} is out of range: with N in k-mers choose at most {}.", k,
                    KmerVocabulary::kMaxKWithN);
  }
  if (stride < 1) throw UserError("k-mer stride {} is out of range: choose 1 or more.", stride);
  if (max_bases < k) {
    throw UserError("a maximum of {} bases does not hold one {}-mer: choose {} or more.", max_bases,
                    k, k);
  }
  const auto& specials = vocabulary_.specials;
  if (specials.size() < 2 || specials[KmerVocabulary::kMask] != "[MASK]" ||
      specials[KmerVocabulary::kUnknown] != "[UNK]") {
    throw UserError("a k-mer vocabulary must begin with the special tokens [MASK] and [UNK].");
  }
}

std::int32_t KmerTokenizer::kmer_id(const char* bases) const {
  std::uint32_t value = 0, seen = 0;
  for (int i = 0; i < vocabulary_.k; ++i) {
    const std::uint32_t code = kBaseCode[static_cast<unsigned char>(bases[i])];
    value = (value << 2) | (code & 3);
    seen |= code;
  }
  if ((seen & kAmbiguous) != 0) {
    return vocabulary_.n_kmers ? n_kmer_id(bases) : KmerVocabulary::kUnknown;
  }
  return vocabulary_.first_kmer() + static_cast<std::int32_t>(value);
}

std::int32_t KmerTokenizer::n_kmer_id(const char* bases) const {
  // Its place among all 5^k, less those without N before it.
  std::int32_t value = 0, without_n = 0;
  bool has_n = false;
  for (int i = 0; i < vocabulary_.k; ++i) {
    const std::uint32_t code = kBaseCode[static_cast<unsigned char>(bases[i])];
    if ((code & kAmbiguous) != 0 && bases[i] != 'N') return KmerVocabulary::kUnknown;
    const std::int32_t digit = bases[i] == 'N' ? 4 : static_cast<std::int32_t>(code);
    value = 5 * value + digit;
    if (!has_n) without_n += digit * (std::int32_t{1} << (2 * (vocabulary_.k - 1 - i)));
    has_n = has_n || digit == 4;
  }
  return vocabulary_.first_kmer() + vocabulary_.kmers() + value - without_n;
}

TokenSequence KmerTokenizer::with_cls(TokenSequence tokens) const {
  if (cls_ < 0 || tokens.ids.empty()) return tokens;
  for (std::int32_t& position : tokens.positions) ++position;
  tokens.ids.insert(tokens.ids.begin(), cls_);
  tokens.positions.insert(tokens.positions.begin(), 0);
  return tokens;
}

TokenSequence KmerTokenizer::tokenize(std::string_view sequence, int offset) const {
  BARCODEMAE_CHECK(offset >= 0, "frame offset {}", offset);
  sequence.remove_prefix(std::min(sequence.size(), static_cast<std::size_t>(offset)));
  sequence = sequence.substr(0, static_cast<std::size_t>(max_bases_));
  while (!sequence.empty() && sequence.back() == 'N') sequence.remove_suffix(1);

  TokenSequence tokens;
  const auto bases = static_cast<int>(sequence.size());
  if (bases < vocabulary_.k) return tokens;
  const int count = (bases - vocabulary_.k) / stride_ + 1;
  tokens.ids.reserve(static_cast<std::size_t>(count));
  tokens.positions.reserve(static_cast<std::size_t>(count));
  for (int position = 0; position < count; ++position) {
    tokens.ids.push_back(kmer_id(sequence.data() + std::ptrdiff_t{position} * stride_));
    tokens.positions.push_back(position);
  }
  return with_cls(std::move(tokens));
}

TokenSequence KmerTokenizer::tokenize_anchored(std::string_view sequence, int begin, int first_site,
                                               int marker_length) const {
  BARCODEMAE_CHECK(first_site >= 0, "first site {}", first_site);
  // 64 bits: a chromosome may lie far to the left of the marker.
  const std::int64_t end =
      std::min<std::int64_t>(marker_length, begin + static_cast<std::int64_t>(sequence.size()));
  const std::int64_t missing = std::max<std::int64_t>(0, std::int64_t{begin} - first_site);
  TokenSequence tokens;
  for (std::int64_t position = (missing + stride_ - 1) / stride_; position < max_kmers();
       ++position) {
    const std::int64_t site = first_site + position * stride_;
    if (site + vocabulary_.k > end) break;
    const std::int32_t id = kmer_id(sequence.data() + (site - begin));
    if (id == KmerVocabulary::kUnknown) continue;
    tokens.ids.push_back(id);
    tokens.positions.push_back(static_cast<std::int32_t>(position));
  }
  return with_cls(std::move(tokens));
}

}  // namespace barcodemae
