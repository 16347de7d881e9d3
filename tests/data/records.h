// SPDX-License-Identifier: MIT
// Small data sets for tests.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"

namespace barcodemae::testing_data {

inline Record make_record(std::string id, std::string sequence, std::string genus = {},
                          std::string split = {}) {
  Record record;
  record.id = std::move(id);
  record.sequence = std::move(sequence);
  record.label(Rank::kGenus) = std::move(genus);
  record.split = std::move(split);
  return record;
}

inline Dataset make_dataset(const std::vector<std::string>& sequences) {
  Dataset data;
  for (const std::string& sequence : sequences) {
    data.append(make_record("r" + std::to_string(data.size()), sequence));
  }
  return data;
}

}  // namespace barcodemae::testing_data
