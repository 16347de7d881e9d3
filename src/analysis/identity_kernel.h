// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace barcodemae {

/// Sequences compared at a time, whatever the SIMD width: the layout does not depend on the
/// machine.
inline constexpr std::int64_t kIdentityLanes = 8;

/// One query against a group of kIdentityLanes keys. Query planes: words × {present, low, high};
/// key planes: words × 3 × lanes; full_weight [words]. Adds up twice the weights: shared[lane] = 2
/// S, different[lane] = 2 D, and overlap[lane] = number of shared sites.
void compare_group(const std::uint64_t* query, const std::uint64_t* keys,
                   const std::uint64_t* full_weight, std::int64_t words, std::uint64_t* shared,
                   std::uint64_t* different, std::uint64_t* overlap);

}  // namespace barcodemae
