// SPDX-License-Identifier: MIT
#include "prepare/new_splits.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>
#include <vector>

#include "base/random.h"

namespace barcodemae {
namespace {

enum : std::uint8_t { kLeftOut, kPretrain, kTrain, kVal, kTest, kValUnseen, kTestUnseen };

RandomSequence random_of(const Hash128& what, std::uint64_t seed) {
  return {seed, Stream::kSplit, static_cast<std::uint32_t>(what.low),
          static_cast<std::uint32_t>(what.low >> 32)};
}

using Pairs = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

void make_unique(Pairs& pairs) {
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
}

class Assignment {
 public:
  Assignment(BarcodeTable& barcodes, const LineageTable& lineages, const NewSplitOptions& options)
      : barcodes_(barcodes), lineages_(lineages), options_(options) {}

  NewSplits run() {
    find_species();
    if (options_.unseen_species > 0) hold_out_species();
    divide_species();
    place_others();
    return result_;
  }

 private:
  const Lineage& lineage(const Barcode& barcode) const { return lineages_[barcode.vote.lineage]; }

  void find_species() {
    std::vector<bool> present(lineages_.names(Rank::kSpecies).size(), false);
    for (std::uint32_t i = 0; i < barcodes_.size(); ++i) {
      const std::uint32_t species = lineage(barcodes_[i]).name(Rank::kSpecies);
      if (species != 0) present[species] = true;
    }
    for (std::uint32_t species = 1; species < present.size(); ++species) {
      if (present[species]) species_.push_back(species);
    }
    result_.species = static_cast<std::int64_t>(species_.size());
    unseen_split_.assign(present.size(), kLeftOut);
  }

  /// The genus of each species all of whose barcodes name one, else 0.
  std::vector<std::uint32_t> genera() const {
    Pairs pairs;
    for (std::uint32_t i = 0; i < barcodes_.size(); ++i) {
      const Lineage& labels = lineage(barcodes_[i]);
      if (labels.name(Rank::kSpecies) == 0) continue;
      pairs.emplace_back(labels.name(Rank::kSpecies), labels.name(Rank::kGenus));
    }
    make_unique(pairs);
    std::vector<std::uint32_t> genus(unseen_split_.size(), 0);
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const bool alone = (i == 0 || pairs[i - 1].first != pairs[i].first) &&
                         (i + 1 == pairs.size() || pairs[i + 1].first != pairs[i].first);
      if (alone) genus[pairs[i].first] = pairs[i].second;
    }
    return genus;
  }

  /// Whether a species has a BIN in which there is another.
  std::vector<bool> shares_bin() const {
    Pairs pairs;
    for (std::uint32_t i = 0; i < barcodes_.size(); ++i) {
      const Lineage& labels = lineage(barcodes_[i]);
      if (labels.name(Rank::kSpecies) == 0 || labels.name(Rank::kBin) == 0) continue;
      pairs.emplace_back(labels.name(Rank::kBin), labels.name(Rank::kSpecies));
    }
    make_unique(pairs);
    std::vector<bool> shares(unseen_split_.size(), false);
    for (std::size_t i = 1; i < pairs.size(); ++i) {
      if (pairs[i].first != pairs[i - 1].first) continue;
      shares[pairs[i].second] = shares[pairs[i - 1].second] = true;
    }
    return shares;
  }

  /// Whether a species has a barcode of which no record names another: it will be in train unless
  /// the species is held out.
  std::vector<bool> has_undisputed_barcode() const {
    std::vector<bool> has(unseen_split_.size(), false);
    for (std::uint32_t i = 0; i < barcodes_.size(); ++i) {
      if (!barcodes_[i].contested) has[lineage(barcodes_[i]).name(Rank::kSpecies)] = true;
    }
    return has;
  }

  void hold_out_species() {
    const std::vector<std::uint32_t> genus = genera();
    const std::vector<bool> shares = shares_bin();
    const std::vector<bool> stays = has_undisputed_barcode();
    std::vector<std::int64_t> seen_species(lineages_.names(Rank::kGenus).size(), 0);  // by genus
    using Candidate = std::tuple<double, const std::string*, std::uint32_t>;
    std::vector<Candidate> candidates;
    for (const std::uint32_t species : species_) {
      if (genus[species] == 0) continue;
      seen_species[genus[species]] += stays[species];
      if (shares[species]) continue;
      const std::string& name = lineages_.names(Rank::kSpecies)[species];
      candidates.emplace_back(random_of(hash_128(name), options_.seed).uniform(), &name, species);
    }
    std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
      return std::tie(std::get<0>(a), *std::get<1>(a)) < std::tie(std::get<0>(b), *std::get<1>(b));
    });
    result_.unseen_wanted =
        std::llround(options_.unseen_species * static_cast<double>(result_.species));
    const double both = options_.val + options_.test;
    const double val_share = both > 0 ? options_.val / both : 0;
    for (const Candidate& candidate : candidates) {
      if (result_.unseen == result_.unseen_wanted) break;
      const std::uint32_t species = std::get<2>(candidate);
      std::int64_t& seen = seen_species[genus[species]];
      if (seen - stays[species] < 1) continue;
      seen -= stays[species];
      const auto count = static_cast<double>(result_.unseen++);
      const bool to_val = std::floor((count + 1) * val_share) > std::floor(count * val_share);
      unseen_split_[species] = to_val ? kValUnseen : kTestUnseen;
    }
  }

  /// Numbers of the barcodes of seen species, species by species, in random order within each.
  struct Drawn {
    std::uint32_t species;
    std::uint32_t barcode;
    double order;
  };
  std::vector<Drawn> draw_seen() {
    std::vector<Drawn> drawn;
    for (std::uint32_t i = 0; i < barcodes_.size(); ++i) {
      Barcode& barcode = barcodes_[i];
      const std::uint32_t species = lineage(barcode).name(Rank::kSpecies);
      if (species == 0) continue;
      if (unseen_split_[species] != kLeftOut) {
        barcode.split = unseen_split_[species];
        continue;
      }
      if (barcode.contested && names_unseen(barcode)) {
        ++result_.contested_unseen;
        continue;
      }
      drawn.push_back({species, i, random_of(barcode.sequence, options_.seed).uniform()});
    }
    std::sort(drawn.begin(), drawn.end(), [&](const Drawn& a, const Drawn& b) {
      return std::tie(a.species, a.order, barcodes_[a.barcode].sequence) <
             std::tie(b.species, b.order, barcodes_[b.barcode].sequence);
    });
    return drawn;
  }

  void divide_species() {
    const std::vector<Drawn> drawn = draw_seen();
    for (std::size_t begin = 0, end = 0; begin < drawn.size(); begin = end) {
      const std::uint32_t species = drawn[begin].species;
      while (end < drawn.size() && drawn[end].species == species) ++end;
      // Rounded at random, so that small species have their share of val and test too.
      RandomSequence random =
          random_of(hash_128(lineages_.names(Rank::kSpecies)[species]), options_.seed);
      random.uniform();  // the first number orders the species
      const auto count = static_cast<double>(end - begin);
      const std::size_t most = end - begin - 1;
      const auto test = std::min(
          most, static_cast<std::size_t>(std::floor(count * options_.test + random.uniform())));
      const auto val =
          std::min(most - test,
                   static_cast<std::size_t>(std::floor(count * options_.val + random.uniform())));
      for (std::size_t i = begin; i < end; ++i) {
        const std::size_t place = i - begin;
        barcodes_[drawn[i].barcode].split = place < test         ? kTest
                                            : place < test + val ? kVal
                                                                 : kTrain;
      }
    }
  }

  bool is_unseen(std::uint32_t species) const { return unseen_split_[species] != kLeftOut; }

  /// Barcodes without a species: pretrain, unless they may be of an unseen one.
  void place_others() {
    std::vector<bool> unseen_bin(lineages_.names(Rank::kBin).size(), false);
    for (std::uint32_t i = 0; i < barcodes_.size(); ++i) {
      const Lineage& labels = lineage(barcodes_[i]);
      if (is_unseen(labels.name(Rank::kSpecies))) unseen_bin[labels.name(Rank::kBin)] = true;
    }
    unseen_bin[0] = false;
    for (std::uint32_t i = 0; i < barcodes_.size(); ++i) {
      Barcode& barcode = barcodes_[i];
      const Lineage& labels = lineage(barcode);
      if (labels.name(Rank::kSpecies) != 0) continue;
      if (barcode.contested && names_unseen(barcode)) {
        ++result_.contested_unseen;
      } else if (unseen_bin[labels.name(Rank::kBin)]) {
        ++result_.near_unseen;
      } else {
        barcode.split = kPretrain;
      }
    }
  }

  bool names_unseen(const Barcode& barcode) const {
    const std::vector<Vote> votes = barcodes_.votes(barcode);
    return std::any_of(votes.begin(), votes.end(), [&](const Vote& vote) {
      return is_unseen(lineages_[vote.lineage].name(Rank::kSpecies));
    });
  }

  BarcodeTable& barcodes_;
  const LineageTable& lineages_;
  const NewSplitOptions& options_;
  std::vector<std::uint32_t> species_;
  std::vector<std::uint8_t> unseen_split_;  ///< by species: kLeftOut for those that are seen
  NewSplits result_;
};

}  // namespace

NewSplits assign_new_splits(BarcodeTable& barcodes, const LineageTable& lineages,
                            const NewSplitOptions& options) {
  return Assignment(barcodes, lineages, options).run();
}

}  // namespace barcodemae
