// SPDX-License-Identifier: MIT
#include "analysis/votes.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace barcodemae {

std::int32_t winner(std::span<const Neighbour> nearest, std::span<const std::int32_t> key_labels,
                    const VoteOptions& options) {
  struct Candidate {
    std::int32_t label;
    double votes;
  };
  std::vector<Candidate> candidates;  // by their nearest key
  for (const Neighbour& neighbour : nearest) {
    if (neighbour.key < 0) continue;
    // Relative to the nearest, so that no temperature overflows.
    const double votes = options.votes == Votes::kUniform
                             ? 1.0
                             : std::exp((double{neighbour.similarity} - nearest[0].similarity) /
                                        options.temperature);
    const std::int32_t label = key_labels[static_cast<std::size_t>(neighbour.key)];
    const auto found =
        std::find_if(candidates.begin(), candidates.end(),
                     [&](const Candidate& candidate) { return candidate.label == label; });
    if (found == candidates.end()) {
      candidates.push_back({label, votes});
    } else {
      found->votes += votes;
    }
  }
  const auto most =
      std::max_element(candidates.begin(), candidates.end(),
                       [](const Candidate& a, const Candidate& b) { return a.votes < b.votes; });
  return most == candidates.end() ? -1 : most->label;
}

}  // namespace barcodemae
