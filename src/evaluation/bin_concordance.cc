// SPDX-License-Identifier: MIT
#include "evaluation/bin_concordance.h"

#include <algorithm>
#include <utility>

namespace barcodemae {

std::string_view to_string(BinConcordance concordance) {
  switch (concordance) {
    case BinConcordance::kOwn:
      return "its label alone";
    case BinConcordance::kShared:
      return "its label and others";
    case BinConcordance::kOthers:
      return "other labels only";
    case BinConcordance::kNew:
      return "no key";
    case BinConcordance::kNone:
      return "(no BIN)";
  }
  return {};
}

std::vector<BinConcordance> bin_concordance(const LabelsAndBins& keys,
                                            const LabelsAndBins& queries) {
  using BinAndLabel = std::pair<std::int32_t, std::int32_t>;
  std::vector<BinAndLabel> held;  // each label of each BIN once, by BIN
  for (std::size_t key = 0; key < keys.labels.size(); ++key) {
    if (keys.labels[key] >= 0 && keys.bins[key] >= 0) {
      held.emplace_back(keys.bins[key], keys.labels[key]);
    }
  }
  std::sort(held.begin(), held.end());
  held.erase(std::unique(held.begin(), held.end()), held.end());

  std::vector<BinConcordance> result;
  result.reserve(queries.labels.size());
  for (std::size_t query = 0; query < queries.labels.size(); ++query) {
    const std::int32_t bin = queries.bins[query];
    const auto begin = std::lower_bound(held.begin(), held.end(), BinAndLabel{bin, -1});
    const auto end = std::lower_bound(begin, held.end(), BinAndLabel{bin + 1, -1});
    if (bin < 0) {
      result.push_back(BinConcordance::kNone);
    } else if (begin == end) {
      result.push_back(BinConcordance::kNew);
    } else if (!std::binary_search(begin, end, BinAndLabel{bin, queries.labels[query]})) {
      result.push_back(BinConcordance::kOthers);
    } else {
      result.push_back(end - begin == 1 ? BinConcordance::kOwn : BinConcordance::kShared);
    }
  }
  return result;
}

}  // namespace barcodemae
