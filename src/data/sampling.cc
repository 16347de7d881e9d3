// SPDX-License-Identifier: MIT
#include "data/sampling.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/fnv1a.h"
#include "base/random.h"

namespace barcodemae {
std::vector<std::int64_t> epoch_order(std::span<const std::int64_t> records, std::uint64_t seed,
                                      std::uint32_t epoch) {
  std::vector<std::int64_t> order(records.begin(), records.end());
  RandomSequence random(seed, Stream::kShuffle, epoch);
  for (std::size_t i = order.size(); i > 1; --i) {  // Fisher and Yates
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  }
  return order;
}

HoldOut hold_out(const Dataset& data, std::span<const std::int64_t> records, double share,
                 std::uint64_t seed) {
  std::vector<std::uint64_t> numbers;  // alike for like sequences
  numbers.reserve(records.size());
  for (const std::int64_t record : records) {
    const std::uint64_t key = fnv1a(data.sequence(record));
    const auto block =
        philox4x32({static_cast<std::uint32_t>(Stream::kSplit), static_cast<std::uint32_t>(key),
                    static_cast<std::uint32_t>(key >> 32), 0},
                   seed);
    numbers.push_back(std::uint64_t{block[0]} << 32 | block[1]);
  }
  std::vector<std::uint64_t> distinct = numbers;
  std::ranges::sort(distinct);
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  const auto held = std::clamp<std::size_t>(
      static_cast<std::size_t>(share * static_cast<double>(distinct.size())),
      distinct.size() > 1 ? 1 : 0, distinct.size());
  HoldOut parts;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const bool out = held > 0 && numbers[i] <= distinct[held - 1];
    (out ? parts.validation : parts.training).push_back(records[i]);
  }
  return parts;
}

}  // namespace barcodemae
