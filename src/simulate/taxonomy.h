// SPDX-License-Identifier: MIT
// Who belongs to whom, and to which split: the simulated taxonomy without sequences.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace barcodemae {

/// Options of a simulation; 0 for a number of taxa means: by the number of records, as in public
/// arthropod barcodes.
struct SimulationOptions {
  std::int64_t records = 10000;
  std::uint64_t seed = 1;
  std::int64_t classes = 0, orders = 0, families = 0, genera = 0, species = 0;
  double truncated = 0.5;           ///< share of the barcodes that miss bases at an end
  double ambiguous = 0.11;          ///< share with N or other IUPAC codes
  double reverse_complement = 0.0;  ///< share filed on the other strand
  double unidentified = 0.35;       ///< share of `pretrain` without a species name
};

enum class Split : std::uint8_t { kPretrain, kTrain, kVal, kTest, kValUnseen, kTestUnseen };
inline constexpr int kSplitCount = 6;
const char* to_string(Split split);
/// Share of the records, but for what rounding and the sizes of species do.
inline constexpr std::array<double, kSplitCount> kSplitShares = {0.74, 0.20, 0.01,
                                                                 0.02, 0.01, 0.02};

/// Levels of the taxonomy: the children of every taxon lie side by side.
enum class Level : std::uint8_t { kClass, kOrder, kFamily, kGenus, kSpecies, kBin };
inline constexpr int kLevelCount = 6;

class Taxonomy {
 public:
  /// Throws UserError for numbers of taxa that do not go together.
  explicit Taxonomy(const SimulationOptions& options);

  std::int64_t size(Level level) const {
    return static_cast<std::int64_t>(parents_[static_cast<std::size_t>(level)].size());
  }
  /// First and past-the-last child at `level` of a taxon of the level above (0 above the classes).
  std::int64_t begin(Level level, std::int64_t parent) const {
    return begins_[static_cast<std::size_t>(level)][static_cast<std::size_t>(parent)];
  }
  std::int64_t end(Level level, std::int64_t parent) const { return begin(level, parent + 1); }
  std::int64_t parent(Level level, std::int64_t taxon) const {
    return parents_[static_cast<std::size_t>(level)][static_cast<std::size_t>(taxon)];
  }

  /// Individuals are numbered species by species.
  std::int64_t individuals() const { return individual_begins_.back(); }
  std::int64_t species_of(std::int64_t individual) const;
  std::int64_t first_individual(std::int64_t species) const {
    return individual_begins_[static_cast<std::size_t>(species)];
  }
  Split split(std::int64_t individual) const {
    return splits_[static_cast<std::size_t>(individual)];
  }

 private:
  void assign_splits(std::uint64_t seed);

  std::array<std::vector<std::int64_t>, kLevelCount> begins_;
  std::array<std::vector<std::uint32_t>, kLevelCount> parents_;
  std::vector<std::int64_t> individual_begins_;  // [species + 1]
  std::vector<Split> splits_;                    // [individuals]
};

}  // namespace barcodemae
