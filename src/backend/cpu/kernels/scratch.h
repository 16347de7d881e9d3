// SPDX-License-Identifier: MIT
// Scratch memory of the attention kernels, cut into aligned pieces.
#pragma once

#include <cstddef>
#include <cstdint>

namespace barcodemae::cpu {
namespace {

constexpr std::int64_t padded(std::int64_t x, std::int64_t multiple) {
  return (x + multiple - 1) / multiple * multiple;
}

/// Hands out 64-byte aligned pieces of scratch; from a null base it only counts.
class ScratchPieces {
 public:
  explicit ScratchPieces(void* base) : base_(static_cast<std::uint8_t*>(base)) {}
  template <typename T>
  T* take(std::int64_t count) {
    std::uint8_t* piece = base_ ? base_ + used_ : nullptr;
    used_ += static_cast<std::size_t>(padded(count * static_cast<std::int64_t>(sizeof(T)), 64));
    return reinterpret_cast<T*>(piece);
  }
  std::size_t used() const { return used_; }

 private:
  std::uint8_t* base_;
  std::size_t used_ = 0;
};

/// Queries that meet all keys at once: a whole barcode, or so many that a block's scores stay in
/// L2.
constexpr std::int64_t kLongestQueryBlock = 128;
constexpr std::int64_t query_block(std::int64_t tokens) {
  return tokens <= kLongestQueryBlock ? tokens : 64;
}

/// What any sequence of up to `tokens` tokens needs. A shorter one can need more than the longest:
/// its query block may be the larger.
template <typename Scratch>
std::size_t scratch_bytes(std::int64_t tokens, std::int64_t head_size) {
  const std::int64_t whole = tokens < kLongestQueryBlock ? tokens : kLongestQueryBlock;
  const std::size_t longest = Scratch(nullptr, tokens, head_size).bytes;
  const std::size_t largest_block = Scratch(nullptr, whole, head_size).bytes;
  return longest > largest_block ? longest : largest_block;
}

}  // namespace
}  // namespace barcodemae::cpu
