// SPDX-License-Identifier: MIT
// What the taxonomy says about the barcodes of a batch: targets of auxiliary losses.
#pragma once

#include <cstdint>
#include <vector>

namespace barcodemae {

/// Labels of a batch's sequences for one loss.
struct LabelTargets {
  std::vector<std::int32_t> labels;  ///< [sequences]; −1: none
  std::vector<std::int32_t> groups;  ///< [sequences], or empty: nobody is left out
  std::vector<std::int32_t> pairs;   ///< [3 · pairs]: two sequences, and 1 when they are alike
  std::int64_t count = 0;            ///< what the loss is a mean over
};

/// Sequences with a label.
std::int64_t count_labelled(const std::vector<std::int32_t>& labels);
/// Sequences that have both a candidate of their label and one of another: LabelLoss' anchors.
std::int64_t count_anchors(const std::vector<std::int32_t>& labels,
                           const std::vector<std::int32_t>& groups);
/// Up to `most` pairs of labelled sequences, half of them alike where there are enough: drawn anew
/// for each (seed, step).
std::vector<std::int32_t> draw_pairs(const std::vector<std::int32_t>& labels, std::int64_t most,
                                     std::uint64_t seed, std::uint32_t step);

}  // namespace barcodemae
