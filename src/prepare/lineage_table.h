// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/fingerprint.h"
#include "sequence/record.h"

namespace barcodemae {

/// The labels of a record by number, and the split it is filed in. Number 0 is the missing name.
/// Numbers follow the order of appearance: nothing may be decided by them but equality.
struct Lineage {
  std::array<std::uint32_t, kRankCount> names{};
  std::uint32_t split = 0;

  std::uint32_t name(Rank rank) const { return names[static_cast<std::size_t>(rank)]; }
  std::uint32_t& name(Rank rank) { return names[static_cast<std::size_t>(rank)]; }
  friend bool operator==(const Lineage&, const Lineage&) = default;
};

/// Names that recur, each kept once.
class NameTable {
 public:
  std::uint32_t number(const std::string& name);
  const std::string& operator[](std::uint32_t number) const { return names_[number]; }
  /// Of names, the missing one among them: numbers are below.
  std::uint32_t size() const { return static_cast<std::uint32_t>(names_.size()); }

 private:
  std::vector<std::string> names_ = {""};
  std::unordered_map<std::string, std::uint32_t> numbers_ = {{"", 0}};
};

/// Every distinct combination of labels and split, once: it grows with the taxonomy, not with the
/// records.
class LineageTable {
 public:
  /// Number of the record's lineage, which is added if it is new.
  std::uint32_t number(const Record& record);
  std::uint32_t number(const Lineage& lineage);
  const Lineage& operator[](std::uint32_t number) const { return lineages_[number]; }

  const NameTable& names(Rank rank) const { return names_[static_cast<std::size_t>(rank)]; }
  const NameTable& splits() const { return splits_; }

 private:
  struct LowBits {
    std::size_t operator()(const Hash128& hash) const { return hash.low; }
  };
  /// The lineage's number, from its names joined; `make` gives the lineage when it is new.
  template <typename Make>
  std::uint32_t number_of(Make make);

  std::array<NameTable, kRankCount> names_;
  NameTable splits_;
  std::vector<Lineage> lineages_;
  std::unordered_map<Hash128, std::uint32_t, LowBits> numbers_;  ///< by hash of the names joined
  std::string joined_;
};

}  // namespace barcodemae
