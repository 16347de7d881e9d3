// SPDX-License-Identifier: MIT
// Barcodes in memory: packed sequences, placements in the marker, labels as numbers.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "marker/marker_profile.h"
#include "sequence/reader.h"
#include "sequence/record.h"
#include "tokenizer/kmer_tokenizer.h"

namespace barcodemae {

/// The records of one file, in file order, in about half a byte per base.
class Dataset {
 public:
  struct LoadOptions {
    ReaderOptions reader;
    /// Keep only records of these splits (all when empty). Throws UserError, naming the splits that
    /// exist, when one of them has no record.
    std::vector<std::string> splits;
    bool progress = true;
  };
  static Dataset load(const std::filesystem::path& file, const LoadOptions& options);

  std::int64_t size() const { return static_cast<std::int64_t>(ids_.size()); }
  const std::string& id(std::int64_t record) const { return ids_[static_cast<std::size_t>(record)]; }
  std::string sequence(std::int64_t record) const;
  int length(std::int64_t record) const;
  /// Number of the label at a rank, −1 when missing; label_name turns it back.
  std::int32_t label(std::int64_t record, Rank rank) const;
  const std::string& label_name(Rank rank, std::int32_t label) const;
  std::int32_t label_count(Rank rank) const;
  /// Name of the record's split; empty without a split column.
  const std::string& split(std::int64_t record) const;
  bool has_splits() const { return has_splits_; }
  std::vector<std::int64_t> records_of_split(std::string_view split) const;
  const ReadReport& report() const { return report_; }

  /// Places every record (parallel); afterwards placement() answers. Returns the share explained.
  double anchor(const MarkerProfile& profile);
  bool anchored() const { return !placements_.empty(); }
  const Placement& placement(std::int64_t record) const {
    return placements_[static_cast<std::size_t>(record)];
  }

  /// Hash of ids, sequences, labels and splits: names the data in run.json and caches.
  std::string fingerprint() const;

 private:
  struct Column {  // labels of one rank
    std::vector<std::int32_t> values;
    std::vector<std::string> names;
    std::unordered_map<std::string, std::int32_t> numbers;
    std::int32_t number(const std::string& name);
  };
  std::vector<std::string> ids_;
  std::vector<std::uint8_t> bases_;       // two bases a byte, 4 bits each: index into "ACGTRYSWKMBDHVN-"
  std::vector<std::int64_t> base_begins_{0};  // first base of each record, in bases
  std::array<Column, kRankCount> labels_;
  Column splits_;
  bool has_splits_ = false;
  std::vector<Placement> placements_;
  ReadReport report_;
};

/// How a model reads a sequence: tokenizer, and marker coordinates when it was trained in them.
struct SequenceCoder {
  KmerTokenizer tokenizer;
  std::optional<MarkerProfile> profile;

  /// Tokens of a sequence. Explained by the profile: oriented, in marker coordinates from the first
  /// codon, tokens with missing bases left out. Else as the paper does it, with the frame offset.
  TokenSequence encode(std::string_view sequence, const Placement& placement, int offset = 0) const;
  /// Places it first.
  TokenSequence encode(std::string_view sequence) const;
};

}  // namespace barcodemae
