// SPDX-License-Identifier: MIT
// Counter-based random numbers: a number depends on what it is for, never on who asks first.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace barcodemae {

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): 128 bits
/// for a 128-bit counter under a 64-bit key.
constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                  std::uint64_t key) {
  auto key0 = static_cast<std::uint32_t>(key);
  auto key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key0,
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key1,
               static_cast<std::uint32_t>(product0)};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return counter;
}

/// What a random number is for: the first word of the Philox counter. The other three words are the
/// optimiser step or epoch, the record's index in its data set, and the position inside the
/// sequence. A dropout site adds its number to kDropout.
enum class Stream : std::uint32_t {
  kMask = 0,
  kFrameOffset = 1,
  kShuffle = 2,
  kInitialisation = 3,
  kSplit = 4,
  kSimulate = 5,
  kReplacement = 6,
  kPrediction = 7,      ///< which masked tokens are predicted
  kLayout = 16,         ///< UMAP: negative samples; step = epoch, index = vertex
  kInferenceMask = 17,  ///< tokens masked when embedding; index = hash of the id
  kDropout = 0x1000,
};

/// A sequence of random numbers under one (seed, stream, step, index): for host-side loops. Meets
/// UniformRandomBitGenerator; the distributions below, unlike the standard library's, give the same
/// numbers everywhere.
class RandomSequence {
 public:
  using result_type = std::uint32_t;

  RandomSequence(std::uint64_t seed, Stream stream, std::uint32_t step = 0, std::uint32_t index = 0)
      : seed_(seed), counter_{static_cast<std::uint32_t>(stream), step, index, 0} {}

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return 0xFFFFFFFF; }

  result_type operator()() {
    if (used_ == 4) {
      block_ = philox4x32(counter_, seed_);
      ++counter_[3];
      used_ = 0;
    }
    return block_[static_cast<std::size_t>(used_++)];
  }

  /// Uniform in [0, 1), 53 bits.
  double uniform();
  /// Uniform in 0 … bound − 1, without bias; bound > 0.
  std::uint32_t below(std::uint32_t bound);
  /// Standard normal, by Box and Muller.
  double normal();

 private:
  std::uint64_t seed_;
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 4> block_{};
  int used_ = 4;
};

/// The first `count` items (or all, where there are fewer) of a shuffle by Fisher and Yates come to
/// the front; the others follow in some order.
template <typename T>
void draw_to_front(std::vector<T>& items, std::size_t count, RandomSequence& random) {
  for (std::size_t i = 0; i < std::min(count, items.size()); ++i) {
    std::swap(items[i], items[i + random.below(static_cast<std::uint32_t>(items.size() - i))]);
  }
}

}  // namespace barcodemae
