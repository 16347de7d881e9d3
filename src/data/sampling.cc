// SPDX-License-Identifier: MIT
#include "data/sampling.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>

#include "base/random.h"

namespace barcodemae {
namespace {

/// FNV-1a (Fowler, Noll, Vo), 64 bits: the same everywhere, as std::hash is not.
std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xCBF29CE484222325;
  for (const char character : text) {
    value = (value ^ static_cast<unsigned char>(character)) * 0x100000001B3;
  }
  return value;
}

}  // namespace

std::vector<std::int64_t> epoch_order(std::span<const std::int64_t> records, std::uint64_t seed,
                                      std::uint32_t epoch) {
  std::vector<std::int64_t> order(records.begin(), records.end());
  RandomSequence random(seed, Stream::kShuffle, epoch);
  for (std::size_t i = order.size(); i > 1; --i) {  // Fisher and Yates
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  }
  return order;
}

HoldOut hold_out(const Dataset& data, double share, std::uint64_t seed) {
  std::vector<std::uint64_t> numbers;  // alike for like sequences
  numbers.reserve(static_cast<std::size_t>(data.size()));
  for (std::int64_t record = 0; record < data.size(); ++record) {
    const std::uint64_t key = hash(data.sequence(record));
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
  for (std::int64_t record = 0; record < data.size(); ++record) {
    const bool out = held > 0 && numbers[static_cast<std::size_t>(record)] <= distinct[held - 1];
    (out ? parts.validation : parts.training).push_back(record);
  }
  return parts;
}

}  // namespace barcodemae
