// SPDX-License-Identifier: MIT
#include "evaluation/still_right.h"

#include <unordered_map>

namespace barcodemae {

std::vector<StillRight> still_right(const Dataset& data, std::span<const std::int64_t> queries,
                                    std::span<const std::int64_t> answers, Rank asked) {
  std::vector<StillRight> found;
  for (const Rank rank : {Rank::kGenus, Rank::kFamily, Rank::kOrder, Rank::kClass, Rank::kPhylum}) {
    // A BIN is below all of them; the ranks ascend towards the species.
    if (rank >= asked) continue;
    StillRight count{rank};
    for (std::size_t q = 0; q < queries.size(); ++q) {
      const std::int64_t answer = answers[q];
      if (answer >= 0 && data.label(answer, asked) == data.label(queries[q], asked)) continue;
      const std::int32_t truth = data.label(queries[q], rank);
      const std::int32_t given = answer >= 0 ? data.label(answer, rank) : -1;
      if (truth < 0 || (answer >= 0 && given < 0)) continue;
      ++count.compared;
      if (given == truth) ++count.right;
    }
    if (count.compared > 0) found.push_back(count);
  }
  return found;
}

std::vector<StillRight> still_right(const Dataset& data, std::span<const std::int64_t> queries,
                                    std::span<const std::int32_t> answers,
                                    const LabelledRecords& train, Rank asked) {
  std::unordered_map<std::int32_t, std::int64_t> example;
  for (std::size_t i = 0; i < train.records.size(); ++i) {
    example.emplace(train.labels[i], train.records[i]);
  }
  std::vector<std::int64_t> records;
  for (const std::int32_t label : answers) records.push_back(example.at(label));
  return still_right(data, queries, records, asked);
}

}  // namespace barcodemae
