// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <unordered_map>
#include <vector>

#include "base/fingerprint.h"

namespace barcodemae {

/// Records with the same sequence, labels and split.
struct Vote {
  std::uint64_t key = 0;      ///< smallest of the records' keys: that record speaks for them
  std::uint32_t lineage = 0;  ///< number in the LineageTable
  std::uint32_t records = 0;
};

/// A distinct sequence, in 40 bytes.
struct Barcode {
  Hash128 sequence;
  Vote vote;  ///< of its first lineage; once settled: of all its records
  std::uint32_t further = 0;
  std::uint8_t split = 0;  ///< where it goes: 0 nowhere, else as the caller numbers them
  bool contested = false;  ///< its records name several species
  bool settled = false;
  bool written = false;
};

/// All distinct sequences of a file by 128-bit hashes, with what their records are labelled: 40
/// bytes each, and some ten for the index; 100 or so more for each further labelling of a sequence.
class BarcodeTable {
 public:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  void add(const Hash128& sequence, std::uint32_t lineage, std::uint64_t key);
  /// Its number, or kNone.
  std::uint32_t find(const Hash128& sequence) const;

  std::uint32_t size() const { return static_cast<std::uint32_t>(barcodes_.size()); }
  Barcode& operator[](std::uint32_t number) { return barcodes_[number]; }
  const Barcode& operator[](std::uint32_t number) const { return barcodes_[number]; }
  /// One for each labelling of its records, in no order that means anything; of a settled barcode
  /// too.
  std::vector<Vote> votes(const Barcode& barcode) const;
  /// Makes `outcome` the barcode's vote.
  void settle(Barcode& barcode, const Vote& outcome);

 private:
  struct Further {
    Vote vote;
    std::uint32_t next = 0;  ///< 1 + number of the one before in further_; 0: none
  };
  std::size_t slot_of(const Hash128& sequence) const;
  void grow();
  void add_further(std::uint32_t number, std::uint32_t lineage, std::uint64_t key);

  std::vector<std::uint32_t> slots_ = std::vector<std::uint32_t>(1024, kNone);
  std::deque<Barcode> barcodes_;  // grows without copies
  std::deque<Further> further_;
  std::unordered_map<std::uint64_t, std::uint32_t> further_of_;  ///< by barcode and lineage
};

}  // namespace barcodemae
