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

/// The numbers below `size` in random order, one by one: a shuffle by Fisher and Yates that holds
/// only what it has moved.
class ShuffledNumbers {
 public:
  ShuffledNumbers(std::size_t size, RandomSequence& random) : size_(size), random_(random) {}
  bool empty() const { return taken_ == size_; }
  /// Not when empty().
  std::size_t next() {
    const std::size_t place = taken_ + random_.below(static_cast<std::uint32_t>(size_ - taken_));
    const std::size_t number = at(place);
    moved_[place] = at(taken_++);
    return number;
  }

 private:
  std::size_t at(std::size_t place) const {
    const auto found = moved_.find(place);
    return found == moved_.end() ? place : found->second;
  }

  std::size_t size_, taken_ = 0;
  RandomSequence& random_;
  std::map<std::size_t, std::size_t> moved_;
};

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
      targets.groups.push_back(data.putative_species[static_cast<std::size_t>(record)]);
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
    std::size_t unknown = 0;  // each of which may be another one
    for (const std::int64_t record : records) {
      const std::int32_t own = data.putative_species[static_cast<std::size_t>(record)];
      if (own < 0) {
        ++unknown;
      } else {
        species.insert(own);
      }
    }
    if (records.size() >= 2 && (!of_species || species.size() + unknown >= 2)) {
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
  std::vector<std::int64_t> drawn;
  ShuffledNumbers classes(classes_.size(), random);
  for (int i = 0; i < options_.balanced_classes; ++i) {
    const std::vector<std::int64_t> members = draw_members(classes_[classes.next()], random);
    drawn.insert(drawn.end(), members.begin(), members.end());
  }
  return drawn;
}

std::vector<std::int64_t> BalancedSampler::draw_members(const std::vector<std::int64_t>& records,
                                                        RandomSequence& random) const {
  // So many records of species that were taken are passed over before they are taken again.
  constexpr std::size_t kLooks = 8;
  const auto members = static_cast<std::size_t>(options_.balanced_members);
  std::vector<std::int64_t> chosen, others;
  std::set<std::int32_t> species;
  ShuffledNumbers order(records.size(), random);
  while (!order.empty() && chosen.size() < members && others.size() < kLooks * members) {
    const std::int64_t record = records[order.next()];
    const std::int32_t own = data_.putative_species[static_cast<std::size_t>(record)];
    const bool is_new = own < 0 || species.insert(own).second;
    (is_new ? chosen : others).push_back(record);
  }
  for (std::size_t i = 0; chosen.size() < members && i < others.size(); ++i) {
    chosen.push_back(others[i]);
  }
  return chosen;
}

}  // namespace barcodemae
