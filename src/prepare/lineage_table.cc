// SPDX-License-Identifier: MIT
#include "prepare/lineage_table.h"

namespace barcodemae {

namespace {
constexpr char kSeparator = '\n';  // labels are cleaned of control characters
}

std::uint32_t NameTable::number(const std::string& name) {
  const auto [entry, added] = numbers_.try_emplace(name, size());
  if (added) names_.push_back(name);
  return entry->second;
}

template <typename Make>
std::uint32_t LineageTable::number_of(Make make) {
  const auto next = static_cast<std::uint32_t>(lineages_.size());
  const auto [entry, added] = numbers_.try_emplace(hash_128(joined_), next);
  if (added) lineages_.push_back(make());
  return entry->second;
}

std::uint32_t LineageTable::number(const Record& record) {
  joined_.clear();
  for (const std::string& label : record.labels) (joined_ += label) += kSeparator;
  joined_ += record.split;
  return number_of([&] {
    Lineage lineage;
    for (std::size_t i = 0; i < kRankCount; ++i) {
      lineage.names[i] = names_[i].number(record.labels[i]);
    }
    lineage.split = splits_.number(record.split);
    return lineage;
  });
}

std::uint32_t LineageTable::number(const Lineage& lineage) {
  joined_.clear();
  for (std::size_t i = 0; i < kRankCount; ++i) {
    (joined_ += names_[i][lineage.names[i]]) += kSeparator;
  }
  joined_ += splits_[lineage.split];
  return number_of([&] { return lineage; });
}

}  // namespace barcodemae
