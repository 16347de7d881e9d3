// SPDX-License-Identifier: MIT
// What predictions are worth: accuracy and its kin, as scikit-learn defines them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace barcodemae {

/// How one class fared. A ratio whose denominator is 0 is 0.
struct ClassScores {
  std::int32_t label = 0;
  std::int64_t support = 0;    ///< queries of this class
  std::int64_t predicted = 0;  ///< queries taken for this class
  std::int64_t correct = 0;
  double precision() const { return ratio(correct, predicted); }
  double recall() const { return ratio(correct, support); }
  double f1() const { return ratio(2 * correct, support + predicted); }

 private:
  static double ratio(std::int64_t part, std::int64_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
  }
};

struct ClassificationScores {
  std::int64_t queries = 0;  ///< with a label: the denominator of accuracy
  std::int64_t correct = 0;
  std::int64_t unlabelled = 0;   ///< left out
  std::int64_t unreachable = 0;  ///< their label is no key's: counted, and wrong by nature
  double accuracy = 0;
  double balanced_accuracy = 0;  ///< mean over the queries' classes of their recall
  /// F1 of all decisions together: the accuracy, where every query was given a label.
  double micro_f1 = 0;
  double macro_f1 = 0;               ///< mean F1 over all classes that occur as label or prediction
  double weighted_f1 = 0;            ///< the same, weighted by the number of queries of a class
  std::vector<ClassScores> classes;  ///< those classes, by label
};

/// Labels are numbers ≥ 0, −1 = missing or no answer; `truth` and `predicted` in step.
/// `known[label]` says whether any key has that label.
ClassificationScores score_predictions(std::span<const std::int32_t> truth,
                                       std::span<const std::int32_t> predicted,
                                       const std::vector<bool>& known);

}  // namespace barcodemae
