// SPDX-License-Identifier: MIT
// Numbers of other people, quoted for comparison. They are of BIOSCAN-5M and of no other data.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace barcodemae {

struct PublishedRow {
  std::string name;
  /// Shares of 1: genus of unseen species by 1-NN, species by linear probe, species by fine-tuning,
  /// AMI of BIN reconstruction, harmonic mean of the first and the fourth.
  std::optional<double> unseen, linear, finetuned, ami, harmonic_mean;
  std::string source;  ///< where it stands, or that nobody has looked it up
};

/// Every number whose source we know, and those of the paper, which are marked as recalled.
const std::vector<PublishedRow>& published_rows();

}  // namespace barcodemae
