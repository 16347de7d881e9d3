// SPDX-License-Identifier: MIT
#include "train/balanced_batches.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "nn/auxiliary_losses.h"

namespace barcodemae {
namespace {

bool leaves_own_species_out(const AuxiliaryLoss& loss) {
  return loss.kind == AuxiliaryKind::kContrastiveOthers;
}

}  // namespace

LabelTargets label_targets(const TrainingData& data, const AuxiliaryLoss& loss,
                           std::span<const std::int64_t> records, std::uint64_t seed,
                           std::uint32_t step) {
  const std::vector<std::int32_t>& numbers = data.labels_of_rank.at(loss.rank).of_label;
  LabelTargets targets;
  for (const std::int64_t record : records) {
    const std::int32_t label = data.dataset.label(record, loss.rank);
    targets.labels.push_back(label < 0 ? -1 : numbers[static_cast<std::size_t>(label)]);
    if (leaves_own_species_out(loss)) {
      targets.groups.push_back(data.dataset.label(record, Rank::kSpecies));
    }
  }
  if (loss.kind == AuxiliaryKind::kCrossEntropy) {
    targets.count = count_labelled(targets.labels);
  } else if (loss.kind == AuxiliaryKind::kPair) {
    targets.pairs = draw_pairs(targets.labels, kMostPairs, seed, step);
    targets.count = static_cast<std::int64_t>(targets.pairs.size()) / 3;
  } else {
    targets.count = count_anchors(targets.labels, targets.groups);
  }
  return targets;
}

BalancedSampler::BalancedSampler(const TrainingData& data, const PretrainOptions& options)
    : data_(data), options_(options) {
  const Rank rank = options.model.auxiliary.front().rank;
  const bool of_species = std::any_of(options.model.auxiliary.begin(),
                                      options.model.auxiliary.end(), leaves_own_species_out);
  std::map<std::int32_t, std::vector<std::int64_t>> by_label;
  for (const std::int64_t record : data.records.training) {
    const std::int32_t label = data.dataset.label(record, rank);
    if (label >= 0) by_label[label].push_back(record);
  }
  for (auto& [label, records] : by_label) {
    std::set<std::int32_t> species;
    for (const std::int64_t record : records) {
      species.insert(data.dataset.label(record, Rank::kSpecies));
    }
    if (records.size() >= 2 && (!of_species || species.size() >= 2)) {
      classes_.push_back(std::move(records));
    }
  }
  if (static_cast<int>(classes_.size()) < options.balanced_classes) {
    throw UserError(
        "--balanced-batches {}: only {} classes of rank {} have two barcodes{}\n"
        "Give fewer classes, or another rank.",
        options.balanced_batches, classes_.size(), to_string(rank),
        of_species ? " of two species" : "");
  }
}

std::vector<std::int64_t> BalancedSampler::draw(std::uint32_t step) const {
  RandomSequence random(options_.seed, Stream::kShuffle, step, /*index=*/1);
  // The first numbers of a Fisher–Yates shuffle, without touching the rest.
  const auto first_of_shuffle = [&](std::size_t size, std::size_t count, auto&& take) {
    std::map<std::size_t, std::size_t> moved;
    for (std::size_t i = 0; i < size && count > 0; ++i) {
      const std::size_t j = i + random.below(static_cast<std::uint32_t>(size - i));
      const auto at = [&](std::size_t place) {
        const auto found = moved.find(place);
        return found == moved.end() ? place : found->second;
      };
      const std::size_t chosen = at(j);
      moved[j] = at(i);
      if (take(chosen)) --count;
    }
  };
  std::vector<std::int64_t> drawn;
  const auto members = static_cast<std::size_t>(options_.balanced_members);
  // A species that has been taken is passed over this often before it is taken again.
  constexpr std::size_t kLooks = 8;
  first_of_shuffle(classes_.size(), static_cast<std::size_t>(options_.balanced_classes),
                   [&](std::size_t c) {
                     const std::vector<std::int64_t>& records = classes_[c];
                     std::vector<std::int64_t> chosen, others;
                     std::set<std::int32_t> species;
                     first_of_shuffle(records.size(), members, [&](std::size_t r) {
                       if (others.size() >= kLooks * members) return true;
                       const std::int32_t own = data_.dataset.label(records[r], Rank::kSpecies);
                       const bool is_new = own < 0 || species.insert(own).second;
                       (is_new ? chosen : others).push_back(records[r]);
                       return is_new;
                     });
                     for (std::size_t i = 0; chosen.size() < members && i < others.size(); ++i) {
                       chosen.push_back(others[i]);
                     }
                     drawn.insert(drawn.end(), chosen.begin(), chosen.end());
                     return true;
                   });
  return drawn;
}

}  // namespace barcodemae
