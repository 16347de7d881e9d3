// SPDX-License-Identifier: MIT
// Barcodes in memory: packed sequences, placements in the marker, labels as numbers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/sequence_coder.h"
#include "marker/marker_profile.h"
#include "sequence/reader.h"
#include "sequence/record.h"

namespace barcodemae {

/// The records of one file, in file order, in about half a byte per base.
class Dataset {
 public:
  struct LoadOptions {
    ReaderOptions reader = {};
    /// Keep only records of these splits (all when empty). Throws UserError, naming the splits that
    /// exist, when one of them has no record.
    std::vector<std::string> splits = {};
    /// With `splits`: keep these too, where they exist.
    std::vector<std::string> optional_splits = {};
    bool progress = true;
  };
  /// Throws UserError as RecordReader does, and for `splits`.
  static Dataset load(const std::filesystem::path& file, const LoadOptions& options);

  Dataset() = default;
  /// Appends a record whose sequence is normalised; placements are forgotten.
  void append(const Record& record);

  std::int64_t size() const { return static_cast<std::int64_t>(ids_.size()); }
  const std::string& id(std::int64_t record) const { return ids_[index(record)]; }
  std::string sequence(std::int64_t record) const;
  int length(std::int64_t record) const { return lengths_[index(record)]; }
  /// Number of the label at a rank, −1 when missing; label_name turns it back.
  std::int32_t label(std::int64_t record, Rank rank) const {
    return column(rank).values[index(record)];
  }
  const std::string& label_name(Rank rank, std::int32_t label) const {
    return column(rank).names[static_cast<std::size_t>(label)];
  }
  std::int32_t label_count(Rank rank) const {
    return static_cast<std::int32_t>(column(rank).names.size());
  }
  /// Name of the record's split; empty without a split column.
  const std::string& split(std::int64_t record) const;
  bool has_splits() const { return has_splits_; }
  /// In order of appearance.
  const std::vector<std::string>& split_names() const { return splits_.names; }
  /// In file order; empty when there is no such split.
  std::vector<std::int64_t> records_of_split(std::string_view split) const;
  const ReadReport& report() const { return report_; }

  /// Places every record (parallel); afterwards placement() answers. Returns the share explained.
  double anchor(const MarkerProfile& profile);
  bool anchored() const { return !placements_.empty(); }
  /// The share of the records that the profile explains by which they are anchored; 0 without one.
  double share_explained() const;
  /// Forgets the placements.
  void unanchor() { placements_.clear(); }
  const Placement& placement(std::int64_t record) const { return placements_[index(record)]; }

  /// Tokens of a record as the coder reads it: by its placement when the data set is anchored and
  /// the coder has a profile, else with the frame offset.
  TokenSequence tokens(std::int64_t record, const SequenceCoder& coder, int offset = 0) const;

  /// Hash of ids, sequences, labels and splits: names the data in run.json and caches.
  std::string fingerprint() const;

 private:
  /// Names that recur, as numbers in order of appearance.
  struct Column {
    std::vector<std::int32_t> values;  ///< −1: empty
    std::vector<std::string> names;
    std::unordered_map<std::string, std::int32_t> numbers;
    void append(const std::string& name);
  };
  static std::size_t index(std::int64_t record) { return static_cast<std::size_t>(record); }
  const Column& column(Rank rank) const { return labels_[static_cast<std::size_t>(rank)]; }

  std::vector<std::string> ids_;
  std::vector<std::uint8_t> bases_;  // two a byte, low half first; each record begins a byte
  std::vector<std::int64_t> byte_begins_;
  std::vector<std::int32_t> lengths_;
  std::array<Column, kRankCount> labels_;
  Column splits_;
  bool has_splits_ = false;
  std::vector<Placement> placements_;
  ReadReport report_;
};

}  // namespace barcodemae
