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
  std::map<std::int32_t, ClassScores> classes;
  ClassificationScores scores;
  std::int64_t answered = 0;
  for (std::size_t query = 0; query < truth.size(); ++query) {
    const std::int32_t label = truth[query], answer = predicted[query];
    if (label < 0) {
      ++scores.unlabelled;
      continue;
    }
    ++scores.queries;
    const auto place = static_cast<std::size_t>(label);
    if (place >= known.size() || !known[place]) ++scores.unreachable;
    ++classes[label].support;
    if (answer < 0) continue;
    ++answered;
    ++classes[answer].predicted;
    if (answer == label) {
      ++classes[label].correct;
      ++scores.correct;
    }
  }
  if (scores.queries == 0) return scores;
  double recall = 0, f1 = 0, weighted_f1 = 0;
  std::int64_t actual_classes = 0;
  scores.classes.reserve(classes.size());
  for (auto& [label, one] : classes) {
    one.label = label;
    if (one.support > 0) {
      ++actual_classes;
      recall += one.recall();
    }
    f1 += one.f1();
    weighted_f1 += static_cast<double>(one.support) * one.f1();
    scores.classes.push_back(one);
  }
  const auto queries = static_cast<double>(scores.queries);
  scores.accuracy = static_cast<double>(scores.correct) / queries;
  scores.balanced_accuracy = recall / static_cast<double>(actual_classes);
  scores.micro_f1 =
      2 * static_cast<double>(scores.correct) / static_cast<double>(scores.queries + answered);
  scores.macro_f1 = f1 / static_cast<double>(classes.size());
  scores.weighted_f1 = weighted_f1 / queries;
  return scores;
}

}  // namespace barcodemae
