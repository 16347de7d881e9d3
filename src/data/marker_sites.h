// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "data/dataset.h"
#include "marker/reverse_complement.h"

namespace barcodemae {

/// visit(site, base), base 0 … 3 for A, C, G, T: every unambiguous base of an anchored record that
/// lies within the marker's `sites`, on the marker's strand, in order.
template <typename Visit>
void visit_sites(const Dataset& data, std::int64_t record, int sites, const Visit& visit) {
  const Placement& placement = data.placement(record);
  std::string sequence = data.sequence(record);
  if (placement.reverse_complement) sequence = reverse_complement(sequence);
  for (std::size_t i = 0; i < sequence.size(); ++i) {
    const std::int64_t site = placement.begin + static_cast<std::int64_t>(i);
    if (site < 0 || site >= sites) continue;
    const std::size_t base = std::string_view("ACGT").find(sequence[i]);
    if (base != std::string_view::npos) visit(site, base);
  }
}

/// Which of A, C, G, T a base is, less how frequent each is there: 1 − f of its own, −f of others.
inline void write_centred(std::span<float, 4> numbers, std::size_t base,
                          const std::array<float, 4>& frequencies) {
  for (std::size_t b = 0; b < numbers.size(); ++b) numbers[b] = -frequencies[b];
  numbers[base] += 1;
}

}  // namespace barcodemae
