// SPDX-License-Identifier: MIT
// Numbers of other people, quoted for comparison. They are of BIOSCAN-5M and of no other data.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace barcodemae {

struct PublishedRow {
  std::string name;
  /// Shares of 1: genus of unseen species by 1-NN, species by linear probe, species by fine-tuning.
  std::optional<double> unseen, linear, finetuned;
  std::string source;  ///< where it stands
};

/// Every number whose source we have read.
const std::vector<PublishedRow>& published_rows();

}  // namespace barcodemae
