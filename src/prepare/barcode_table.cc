// SPDX-License-Identifier: MIT
#include "prepare/barcode_table.h"

#include <algorithm>

#include "base/error.h"

namespace barcodemae {

std::size_t BarcodeTable::slot_of(const Hash128& sequence) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t slot = sequence.low & mask;; slot = (slot + 1) & mask) {
    if (slots_[slot] == kNone || barcodes_[slots_[slot]].sequence == sequence) return slot;
  }
}

std::uint32_t BarcodeTable::find(const Hash128& sequence) const {
  return slots_[slot_of(sequence)];
}

void BarcodeTable::grow() {
  slots_ = std::vector<std::uint32_t>(2 * slots_.size(), kNone);
  for (std::uint32_t number = 0; number < size(); ++number) {
    slots_[slot_of(barcodes_[number].sequence)] = number;
  }
}

void BarcodeTable::add(const Hash128& sequence, std::uint32_t lineage, std::uint64_t key) {
  std::size_t slot = slot_of(sequence);
  if (slots_[slot] != kNone) {
    Vote& vote = barcodes_[slots_[slot]].vote;
    if (vote.lineage != lineage) {
      add_further(slots_[slot], lineage, key);
      return;
    }
    ++vote.records;
    vote.key = std::min(vote.key, key);
    return;
  }
  BARCODEMAE_CHECK(size() < kNone - 1, "more than {} distinct barcodes", kNone - 1);
  constexpr std::size_t kMostOfTen = 7;  // slots in use: longer probes cost more than memory
  if (10 * (barcodes_.size() + 1) > kMostOfTen * slots_.size()) {
    grow();
    slot = slot_of(sequence);
  }
  slots_[slot] = size();
  barcodes_.push_back({.sequence = sequence, .vote = {key, lineage, 1}});
}

void BarcodeTable::add_further(std::uint32_t number, std::uint32_t lineage, std::uint64_t key) {
  const std::uint64_t both = (std::uint64_t{number} << 32) | lineage;
  const auto next = static_cast<std::uint32_t>(further_.size());
  const auto [entry, added] = further_of_.try_emplace(both, next);
  if (added) {
    Barcode& barcode = barcodes_[number];
    further_.push_back({{key, lineage, 0}, barcode.further});
    barcode.further = next + 1;
  }
  Vote& vote = further_[entry->second].vote;
  ++vote.records;
  vote.key = std::min(vote.key, key);
}

std::vector<Vote> BarcodeTable::votes(const Barcode& barcode) const {
  std::vector<Vote> votes;
  if (!barcode.settled || barcode.further == 0) votes.push_back(barcode.vote);
  for (std::uint32_t i = barcode.further; i != 0; i = further_[i - 1].next) {
    votes.push_back(further_[i - 1].vote);
  }
  return votes;
}

void BarcodeTable::settle(Barcode& barcode, const Vote& outcome) {
  BARCODEMAE_CHECK(!barcode.settled, "a barcode is settled twice");
  if (barcode.further != 0) {  // its first vote joins the others
    further_.push_back({barcode.vote, barcode.further});
    barcode.further = static_cast<std::uint32_t>(further_.size());
  }
  barcode.vote = outcome;
  barcode.settled = true;
}

}  // namespace barcodemae
