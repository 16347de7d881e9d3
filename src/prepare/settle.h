// SPDX-License-Identifier: MIT
// One set of labels for records with the same sequence.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "prepare/barcode_table.h"
#include "prepare/lineage_table.h"

namespace barcodemae {

struct Settled {
  Lineage lineage;
  std::uint64_t key = 0;  ///< of the record that stands for all
  /// Records named several species (genera); and whether more than half of them agreed.
  bool several_species = false, several_genera = false, several_splits = false;
  bool species_by_majority = false, genus_by_majority = false;
};

/// Labels by majority, whatever the order of the votes. Of several splits the first by
/// `split_order` (position by number of the split, smaller first) wins, and its records alone have
/// a vote. Then from the species up to the kingdom: a name stands if more than half of the records
/// that name this rank agree, and only they vote on the ranks above; else the rank is left without
/// a name. BINs are voted on by all. The record whose own labels agree at most ranks stands for
/// all; among such, the smallest key.
Settled settle(std::span<const Vote> votes, const LineageTable& lineages,
               std::span<const std::uint32_t> split_order);

/// Labels and split of the record with the smallest key.
Settled settle_by_first(std::span<const Vote> votes, const LineageTable& lineages);

}  // namespace barcodemae
