// SPDX-License-Identifier: MIT
// What predictions are worth: accuracy and its kin, as scikit-learn defines them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace barcodemae {

struct ClassificationScores {
  std::int64_t queries = 0;  ///< with a label: the denominator of accuracy
  std::int64_t correct = 0;
  std::int64_t unlabelled = 0;   ///< left out
  std::int64_t unreachable = 0;  ///< their label is no key's: counted, and wrong by nature
  double accuracy = 0;
  double balanced_accuracy = 0;  ///< mean over the queries' classes of their recall
  double macro_f1 = 0;           ///< mean F1 over all classes that occur as label or prediction
};

/// Labels are numbers ≥ 0, −1 = missing; `truth` and `predicted` in step. `known[label]` says
/// whether any key has that label.
ClassificationScores score_predictions(std::span<const std::int32_t> truth,
                                       std::span<const std::int32_t> predicted,
                                       const std::vector<bool>& known);

}  // namespace barcodemae
