// SPDX-License-Identifier: MIT
#include "evaluation/record_table.h"

#include <fmt/format.h>

#include "base/index.h"
#include "evaluation/class_table.h"
#include "evaluation/label_table.h"

namespace barcodemae {

AskedRecords asked_records(const Dataset& data, const LabelledRecords& records) {
  AskedRecords asked{{}, records.labels};
  for (const std::int64_t record : records.records) asked.ids.push_back(data.id(record));
  return asked;
}

AskedRecords asked_records(const EmbeddingFiles& files, std::span<const std::int32_t> labels) {
  AskedRecords asked{read_ids(files.labels), {labels.begin(), labels.end()}};
  for (std::size_t row = asked.ids.size(); row < asked.size(); ++row) {
    asked.ids.push_back(fmt::format("row {}", row + 1));
  }
  return asked;
}

AskedRecords with_label(const AskedRecords& all) {
  AskedRecords kept;
  for (std::size_t record = 0; record < all.size(); ++record) {
    if (all.labels[record] < 0) continue;
    kept.ids.push_back(all.ids[record]);
    kept.labels.push_back(all.labels[record]);
  }
  return kept;
}

RecordTable::RecordTable(const AskedRecords& records, const std::vector<std::string>& names,
                         std::string_view answered)
    : records_(records), names_(names), csv_(fmt::format("features,id,label,{}\n", answered)) {}

void RecordTable::add(std::string_view features, std::size_t record, std::string_view cells) {
  csv_ += fmt::format("{},{},{},{}\n", csv_cell(features), csv_cell(records_.ids[record]),
                      cell(records_.labels[record]), cells);
}

void RecordTable::add_answers(std::string_view features, std::span<const std::int32_t> answers) {
  for (std::size_t record = 0; record < answers.size(); ++record) {
    add(features, record, cell(answers[record]));
  }
}

std::string RecordTable::cell(std::int32_t label) const {
  return label < 0 ? std::string() : csv_cell(names_[index(label)]);
}

}  // namespace barcodemae
