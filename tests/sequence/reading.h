// SPDX-License-Identifier: MIT
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "sequence/reader.h"

namespace barcodemae {

struct Reading {
  std::vector<Record> records;
  ReadReport report;
  bool has_splits = false;
};

/// All records of a text; what was wrong with it is thrown.
inline Reading read_text(std::string_view text, const ReaderOptions& options = {}) {
  RecordReader reader(decompress(memory_source(text, "text")), options);
  Reading reading;
  for (Record record; reader.next(record);) reading.records.push_back(record);
  reading.report = reader.report();
  reading.has_splits = reader.has_splits();
  return reading;
}

inline std::vector<std::string> ids(const Reading& reading) {
  std::vector<std::string> ids;
  for (const Record& record : reading.records) ids.push_back(record.id);
  return ids;
}

inline std::vector<std::string> sequences(const Reading& reading) {
  std::vector<std::string> sequences;
  for (const Record& record : reading.records) sequences.push_back(record.sequence);
  return sequences;
}

}  // namespace barcodemae
