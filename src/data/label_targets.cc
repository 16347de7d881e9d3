// SPDX-License-Identifier: MIT
#include "data/label_targets.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "base/random.h"

namespace barcodemae {

std::int64_t count_labelled(const std::vector<std::int32_t>& labels) {
  return std::ranges::count_if(labels, [](std::int32_t label) { return label >= 0; });
}

std::int64_t count_anchors(const std::vector<std::int32_t>& labels,
                           const std::vector<std::int32_t>& groups) {
  std::int64_t anchors = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0) continue;
    bool positive = false, negative = false;
    for (std::size_t a = 0; a < labels.size(); ++a) {
      if (a == i || labels[a] < 0) continue;
      if (!groups.empty() && groups[a] >= 0 && groups[a] == groups[i]) continue;
      (labels[a] == labels[i] ? positive : negative) = true;
    }
    if (positive && negative) ++anchors;
  }
  return anchors;
}

std::vector<std::int32_t> draw_pairs(const std::vector<std::int32_t>& labels, std::int64_t most,
                                     std::uint64_t seed, std::uint32_t step) {
  using Pair = std::pair<std::int32_t, std::int32_t>;
  std::array<std::vector<Pair>, 2> kinds;  // different, alike
  for (std::size_t i = 0; i < labels.size(); ++i) {
    for (std::size_t j = i + 1; j < labels.size() && labels[i] >= 0; ++j) {
      if (labels[j] < 0) continue;
      kinds[labels[i] == labels[j] ? 1 : 0].emplace_back(i, j);
    }
  }
  const auto half = static_cast<std::size_t>(most) / 2;
  RandomSequence random(seed, Stream::kShuffle, step, /*index=*/2);
  std::vector<std::int32_t> chosen;
  for (const std::int32_t alike : {1, 0}) {
    std::vector<Pair>& pairs = kinds[static_cast<std::size_t>(alike)];
    const std::size_t others = kinds[static_cast<std::size_t>(1 - alike)].size();
    // What one kind has not is taken of the other.
    const std::size_t wanted = static_cast<std::size_t>(most) - std::min(half, others);
    draw_to_front(pairs, wanted, random);
    for (std::size_t i = 0; i < std::min(wanted, pairs.size()); ++i) {
      chosen.insert(chosen.end(), {pairs[i].first, pairs[i].second, alike});
    }
  }
  return chosen;
}

}  // namespace barcodemae
