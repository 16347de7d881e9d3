// SPDX-License-Identifier: MIT
// Which records are trained on, in which order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.h"

namespace barcodemae {

/// `records` in the order of an epoch: a permutation that depends on seed and epoch alone.
std::vector<std::int64_t> epoch_order(std::span<const std::int64_t> records, std::uint64_t seed,
                                      std::uint32_t epoch);

struct HoldOut {
  std::vector<std::int64_t> training, validation;  ///< ascending, disjoint
};

/// Divides `records` (ascending): about `share` of them (at least one, when there are two different
/// sequences) are held out. Drawn by sequence, so that a duplicate of a held-out record is held out
/// too.
HoldOut hold_out(const Dataset& data, std::span<const std::int64_t> records, double share,
                 std::uint64_t seed);

}  // namespace barcodemae
