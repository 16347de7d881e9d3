// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>

#include "prepare/barcode_table.h"
#include "prepare/lineage_table.h"

namespace barcodemae {

struct NewSplitOptions {
  double val = 0.05, test = 0.1;  ///< shares of a seen species' barcodes; below 1 together
  double unseen_species = 0;      ///< share of the species that val_unseen and test_unseen get
  std::uint64_t seed = 0;
};

/// Numbers of the splits in Barcode::split.
inline constexpr std::array<const char*, 7> kNewSplits = {"",     "pretrain",   "train",      "val",
                                                          "test", "val_unseen", "test_unseen"};

struct NewSplits {
  std::int64_t species = 0;           ///< labelled to species
  std::int64_t unseen_wanted = 0;     ///< species to hold out
  std::int64_t unseen = 0;            ///< species held out
  std::int64_t near_unseen = 0;       ///< barcodes left out: without species, in a BIN of an unseen
  std::int64_t contested_unseen = 0;  ///< left out: some of their records name an unseen species
};

/// Gives every settled barcode its split:
///   pretrain     without a species
///   train, val, test      seen species, each divided by the shares; train has at least one barcode
///   none         of a seen species or without one, but some of its records name an unseen one
///   val_unseen, test_unseen   species of no other split, divided as val to test
/// A species can be unseen if all of its barcodes name one genus, that genus keeps another species
/// of which the same holds and which has a barcode that no record files under another (so that it
/// is in train), and none of its BINs holds another species.
/// All choices are by counter-based random numbers of the species' name or the sequence: they do
/// not depend on the order of the records.
NewSplits assign_new_splits(BarcodeTable& barcodes, const LineageTable& lineages,
                            const NewSplitOptions& options);

}  // namespace barcodemae
