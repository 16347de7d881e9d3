// SPDX-License-Identifier: MIT
#include "analysis/classification.h"

#include <map>

#include "base/error.h"

namespace barcodemae {

ClassificationScores score_predictions(std::span<const std::int32_t> truth,
                                       std::span<const std::int32_t> predicted,
                                       const std::vector<bool>& known) {
  BARCODEMAE_CHECK(truth.size() == predicted.size(), "{} labels, {} predictions", truth.size(),
                   predicted.size());
  struct Counts {
    std::int64_t actual = 0, predicted = 0, hit = 0;
  };
  std::map<std::int32_t, Counts> classes;
  ClassificationScores scores;
  for (std::size_t query = 0; query < truth.size(); ++query) {
    const std::int32_t label = truth[query];
    if (label < 0) {
      ++scores.unlabelled;
      continue;
    }
    ++scores.queries;
    const auto place = static_cast<std::size_t>(label);
    if (place >= known.size() || !known[place]) ++scores.unreachable;
    ++classes[label].actual;
    ++classes[predicted[query]].predicted;
    if (predicted[query] == label) {
      ++classes[label].hit;
      ++scores.correct;
    }
  }
  if (scores.queries == 0) return scores;
  double recall = 0, f1 = 0;
  std::int64_t actual_classes = 0;
  for (const auto& [label, counts] : classes) {
    if (counts.actual > 0) {
      ++actual_classes;
      recall += static_cast<double>(counts.hit) / static_cast<double>(counts.actual);
    }
    f1 += 2.0 * static_cast<double>(counts.hit) /
          static_cast<double>(counts.actual + counts.predicted);
  }
  scores.accuracy = static_cast<double>(scores.correct) / static_cast<double>(scores.queries);
  scores.balanced_accuracy = recall / static_cast<double>(actual_classes);
  scores.macro_f1 = f1 / static_cast<double>(classes.size());
  return scores;
}

}  // namespace barcodemae
