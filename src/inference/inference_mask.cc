// SPDX-License-Identifier: MIT
#include "inference/inference_mask.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace barcodemae {
namespace {

/// FNV-1a.
std::uint32_t hash_of(std::string_view text) {
  std::uint32_t hash = 0x811C9DC5;
  for (const char letter : text) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x01000193;
  return hash;
}

/// Which tokens are masked; as many as there are tokens.
std::vector<bool> choose(const TokenSequence& sequence, std::int32_t first_kmer,
                         const InferenceMask& mask, std::string_view id) {
  const std::uint32_t record = hash_of(id);
  std::vector<std::pair<std::uint32_t, std::size_t>> numbers;  // and the token, which settles ties
  for (std::size_t token = 0; token < sequence.ids.size(); ++token) {
    if (sequence.ids[token] < first_kmer) continue;
    const auto position = static_cast<std::uint32_t>(sequence.positions[token]);
    const auto block = philox4x32(
        {static_cast<std::uint32_t>(Stream::kInferenceMask), 0, record, position}, mask.seed);
    numbers.emplace_back(block[0], token);
  }
  auto count =
      static_cast<std::size_t>(std::llround(mask.rate * static_cast<double>(numbers.size())));
  // [CLS] may not be in the mean.
  const bool unknown = std::ranges::count(sequence.ids, KmerVocabulary::kUnknown) > 0;
  if (mask.kind == InferenceMask::Kind::kDrop && !unknown && count == numbers.size() && count > 0) {
    --count;
  }
  if (mask.kind == InferenceMask::Kind::kOnlyMasked && !numbers.empty()) {
    count = std::max<std::size_t>(count, 1);
  }
  const auto end = numbers.begin() + static_cast<std::ptrdiff_t>(count);
  if (end != numbers.end()) std::nth_element(numbers.begin(), end, numbers.end());
  std::vector<bool> chosen(sequence.ids.size(), false);
  std::for_each(numbers.begin(), end, [&](const auto& number) { chosen[number.second] = true; });
  return chosen;
}

}  // namespace

const char* to_string(InferenceMask::Kind kind) {
  switch (kind) {
    case InferenceMask::Kind::kDrop:
      return "drop";
    case InferenceMask::Kind::kReplace:
      return "replace";
    case InferenceMask::Kind::kOnlyMasked:
      return "only-masked";
    case InferenceMask::Kind::kNone:
      break;
  }
  return "none";
}

std::string InferenceMask::name() const {
  return kind == Kind::kNone ? to_string(kind) : fmt::format("{} {}", to_string(kind), rate);
}

void require_pooling(const InferenceMask& mask, const Pooling& pooling) {
  if (mask.kind != InferenceMask::Kind::kOnlyMasked || pooling == Pooling::kMean) return;
  throw UserError(
      "--inference-mask only-masked: a mean over tokens, and this model is pooled as \"{}\"\n"
      "Choose drop or replace, or --pooling mean.",
      to_string(pooling));
}

MaskedSequence masked(const TokenSequence& sequence, std::int32_t first_kmer,
                      const InferenceMask& mask, std::string_view id) {
  BARCODEMAE_CHECK(mask.rate >= 0 && mask.rate <= 1, "mask rate {}", mask.rate);
  MaskedSequence result;
  if (mask.kind == InferenceMask::Kind::kNone) {
    result.tokens = sequence;
  } else {
    const std::vector<bool> chosen = choose(sequence, first_kmer, mask, id);
    for (std::size_t token = 0; token < chosen.size(); ++token) {
      if (chosen[token] && mask.kind == InferenceMask::Kind::kDrop) continue;
      if (chosen[token] && mask.kind == InferenceMask::Kind::kOnlyMasked) {
        result.pooled.push_back(static_cast<std::int32_t>(token));
      }
      result.tokens.ids.push_back(chosen[token] ? KmerVocabulary::kMask : sequence.ids[token]);
      result.tokens.positions.push_back(sequence.positions[token]);
    }
  }
  if (!result.pooled.empty()) return result;
  for (std::size_t token = 0; token < result.tokens.ids.size(); ++token) {
    const std::int32_t word = result.tokens.ids[token];
    // [CLS] and its like are no tokens of the sequence.
    const bool pooled =
        word >= first_kmer || word == KmerVocabulary::kMask || word == KmerVocabulary::kUnknown;
    if (pooled) result.pooled.push_back(static_cast<std::int32_t>(token));
  }
  return result;
}

}  // namespace barcodemae
