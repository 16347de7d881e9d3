// SPDX-License-Identifier: MIT
// What was answered of every record, as a table for other programs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evaluation/embedding_files.h"
#include "evaluation/frozen_features.h"

namespace barcodemae {

/// The records that a question is about, in order.
struct AskedRecords {
  std::vector<std::string> ids;
  std::vector<std::int32_t> labels;  ///< −1: none

  std::size_t size() const { return labels.size(); }
};

AskedRecords asked_records(const Dataset& data, const LabelledRecords& records);

/// The same of the rows beside embeddings made elsewhere, `labels` of all of them; "row 7", from 1,
/// where the table has no column of ids.
AskedRecords asked_records(const EmbeddingFiles& files, std::span<const std::int32_t> labels);

/// Those with a label, in step with LabelledVectors::keep_labelled.
AskedRecords with_label(const AskedRecords& all);

/// CSV with the columns features, id, label and those of `answered` ("answer,nearest").
class RecordTable {
 public:
  /// `names`: of the labels, by number.
  RecordTable(const AskedRecords& records, const std::vector<std::string>& names,
              std::string_view answered);

  /// A line for a record; `cells`: its answers, made by cell() where they are text.
  void add(std::string_view features, std::size_t record, std::string_view cells);
  /// A line for every record, of which the label that it got is all there is to say.
  void add_answers(std::string_view features, std::span<const std::int32_t> answers);
  /// A label's name as a cell; an empty one for −1.
  std::string cell(std::int32_t label) const;

  const std::string& csv() const { return csv_; }

 private:
  const AskedRecords& records_;
  const std::vector<std::string>& names_;
  std::string csv_;
};

}  // namespace barcodemae
