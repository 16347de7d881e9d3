// SPDX-License-Identifier: MIT
// What went where, and why.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "prepare/new_splits.h"
#include "sequence/reader.h"

namespace barcodemae {

struct SplitAccount {
  std::string name;
  std::int64_t records = 0;   ///< read; by their own split where splits are kept
  std::int64_t distinct = 0;  ///< sequences among them
  std::int64_t barcodes = 0;  ///< written
  std::int64_t species = 0, genera = 0;
};

/// Barcodes whose records disagree.
struct Conflicts {
  std::int64_t species = 0, species_by_majority = 0;
  std::int64_t genera = 0, genera_by_majority = 0;
  std::int64_t splits = 0;
};

struct PrepareAccount {
  std::string file;
  ReadReport read;
  std::int64_t too_short = 0, too_ambiguous = 0;  ///< records left out
  std::int64_t unnamed = 0;                       ///< records without an id
  std::int64_t no_species = 0;                    ///< records whose species is "Aus sp."
  std::int64_t used = 0;                          ///< records that are left
  std::int64_t distinct = 0;                      ///< sequences among them
  std::int64_t without_split = 0;                 ///< barcodes left out, where splits are kept
  std::int64_t written = 0;
  bool own_splits = false, first_in_file = false;
  bool unused_split_column = false;  ///< new splits are made of a file that has some
  Conflicts conflicts;
  NewSplits made;                    ///< where new splits are made
  std::int64_t unseen_in_train = 0;  ///< species of val_unseen or test_unseen that train has too
  std::vector<SplitAccount> splits;

  /// For people: a few sentences and a table.
  std::string to_text() const;
};

}  // namespace barcodemae
