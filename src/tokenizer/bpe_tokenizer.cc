// SPDX-License-Identifier: MIT
#include "tokenizer/bpe_tokenizer.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <queue>
#include <tuple>

#include "base/error.h"

namespace barcodemae {
namespace {

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

/// A piece of the sequence, in a doubly linked list by index.
struct Symbol {
  std::int32_t id;
  std::int32_t previous, next;  ///< −1: none
  bool merged_away = false;
};

struct Candidate {
  std::uint32_t rank;
  std::int32_t left;   ///< index of the left symbol
  std::int32_t token;  ///< what the pair became when it was found
  /// The queue hands out the largest: lowest rank, then leftmost.
  bool operator<(const Candidate& other) const {
    return std::tie(rank, left) > std::tie(other.rank, other.left);
  }
};

}  // namespace

BpeTokenizer::BpeTokenizer(BpeVocabulary vocabulary, int max_tokens)
    : vocabulary_(std::move(vocabulary)), max_tokens_(max_tokens) {
  const std::vector<std::string>& tokens = vocabulary_.tokens;
  if (vocabulary_.specials < 2 || vocabulary_.specials >= static_cast<int>(tokens.size()) ||
      tokens[KmerVocabulary::kMask] != "[MASK]" || tokens[KmerVocabulary::kUnknown] != "[UNK]")
    throw UserError("a BPE vocabulary must begin with the special tokens [MASK] and [UNK].");
  if (max_tokens < 1) throw UserError("at most {} tokens: give 1 or more.", max_tokens);
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (!ids_.emplace(tokens[id], static_cast<std::int32_t>(id)).second)
      throw UserError("the BPE token \"{}\" has two ids.", tokens[id]);
  }
  std::uint32_t rank = 0;
  for (const auto& [left, right] : vocabulary_.merges) {
    const std::string whole =
        tokens[static_cast<std::size_t>(left)] + tokens[static_cast<std::size_t>(right)];
    const auto found = ids_.find(whole);
    if (found == ids_.end())
      throw UserError("merge {} of the BPE vocabulary makes \"{}\", which is no token.", rank + 1,
                      whole);
    merges_.insert_or_assign(pair_key(left, right), Merge{rank++, found->second});
  }
}

const BpeTokenizer::Merge* BpeTokenizer::find_merge(std::int32_t left, std::int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void BpeTokenizer::append_tokens(std::string_view sequence, std::vector<std::int32_t>& ids) const {
  if (vocabulary_.ignore_merges) {
    if (const auto whole = ids_.find(sequence); whole != ids_.end()) {
      ids.push_back(whole->second);
      return;
    }
  }
  std::vector<Symbol> symbols;
  symbols.reserve(sequence.size());
  for (std::size_t i = 0; i < sequence.size(); ++i) {
    const auto letter = ids_.find(sequence.substr(i, 1));
    const bool known = letter != ids_.end();
    if (!known && vocabulary_.fuse_unknown && i > 0 && ids_.count(sequence.substr(i - 1, 1)) == 0)
      continue;
    const auto index = static_cast<std::int32_t>(symbols.size());
    symbols.push_back({known ? letter->second : KmerVocabulary::kUnknown, index - 1, index + 1});
  }
  symbols.back().next = -1;

  std::priority_queue<Candidate> queue;
  const auto symbol = [&](std::int32_t index) -> Symbol& {
    return symbols[static_cast<std::size_t>(index)];
  };
  const auto consider = [&](std::int32_t left) {
    if (left < 0 || symbol(left).next < 0) return;
    if (const Merge* merge = find_merge(symbol(left).id, symbol(symbol(left).next).id))
      queue.push({merge->rank, left, merge->token});
  };
  for (std::size_t i = 0; i < symbols.size(); ++i) consider(static_cast<std::int32_t>(i));
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbol(best.left);
    if (left.merged_away || left.next < 0) continue;
    Symbol& right = symbol(left.next);
    // One of the two may have become another token since.
    const Merge* const merge = find_merge(left.id, right.id);
    if (merge == nullptr || merge->token != best.token) continue;
    left.id = best.token;
    right.merged_away = true;
    left.next = right.next;
    if (left.next >= 0) symbol(left.next).previous = best.left;
    consider(left.previous);
    consider(best.left);
  }
  for (std::int32_t i = 0; i >= 0; i = symbol(i).next) ids.push_back(symbol(i).id);
}

TokenSequence BpeTokenizer::tokenize(std::string_view sequence, int offset) const {
  BARCODEMAE_CHECK(offset >= 0, "frame offset {}", offset);
  sequence.remove_prefix(std::min(sequence.size(), static_cast<std::size_t>(offset)));
  while (!sequence.empty() && sequence.back() == 'N') sequence.remove_suffix(1);
  TokenSequence tokens;
  if (sequence.empty()) return tokens;
  tokens.ids = vocabulary_.prefix;
  append_tokens(sequence, tokens.ids);
  tokens.ids.insert(tokens.ids.end(), vocabulary_.suffix.begin(), vocabulary_.suffix.end());
  // The reference code cuts last: a long sequence loses its suffix.
  tokens.ids.resize(std::min(tokens.ids.size(), static_cast<std::size_t>(max_tokens_)));
  tokens.positions.resize(tokens.ids.size());
  std::iota(tokens.positions.begin(), tokens.positions.end(), 0);
  return tokens;
}

}  // namespace barcodemae
