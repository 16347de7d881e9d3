// SPDX-License-Identifier: MIT
// A label from k neighbours.
#pragma once

#include <cstdint>
#include <span>

#include "analysis/nearest.h"

namespace barcodemae {

enum class Votes {
  kUniform,  ///< one each
  kSoftmax,  ///< exp(similarity / temperature), as BarcodeMAE+ and DINO vote
};

struct VoteOptions {
  Votes votes = Votes::kUniform;
  double temperature = 0.02;  ///< of kSoftmax, > 0; BarcodeMAE+'s
};

/// The label with the most votes among `nearest` (best first; those with key −1 do not vote); −1
/// when none votes. Of labels with equally many, the one with the nearest key wins. Labels are
/// numbers ≥ 0.
std::int32_t winner(std::span<const Neighbour> nearest, std::span<const std::int32_t> key_labels,
                    const VoteOptions& options);

}  // namespace barcodemae
