// SPDX-License-Identifier: MIT
#include "prepare/settle.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/error.h"

namespace barcodemae {
namespace {

struct Election {
  std::uint32_t winner = 0;  ///< 0: none has more than half
  bool several = false;      ///< more than one name was given
};

Election elect(std::span<const Vote> votes, const LineageTable& lineages, Rank rank) {
  std::map<std::uint32_t, std::uint64_t> counts;
  std::uint64_t total = 0;
  for (const Vote& vote : votes) {
    const std::uint32_t name = lineages[vote.lineage].name(rank);
    if (name == 0) continue;
    counts[name] += vote.records;
    total += vote.records;
  }
  Election election{.several = counts.size() > 1};
  for (const auto& [name, count] : counts) {
    if (2 * count > total) election.winner = name;
  }
  return election;
}

int agreement(const Lineage& left, const Lineage& right) {
  int ranks = 0;
  for (std::size_t i = 0; i < kRankCount; ++i) ranks += left.names[i] == right.names[i];
  return ranks;
}

bool several_splits(std::span<const Vote> votes, const LineageTable& lineages) {
  return std::any_of(votes.begin(), votes.end(), [&](const Vote& vote) {
    return lineages[vote.lineage].split != lineages[votes[0].lineage].split;
  });
}

}  // namespace

Settled settle(std::span<const Vote> votes, const LineageTable& lineages,
               std::span<const std::uint32_t> split_order) {
  BARCODEMAE_CHECK(!votes.empty(), "a barcode without records");
  const auto order = [&](const Vote& vote) { return split_order[lineages[vote.lineage].split]; };
  const auto best = std::min_element(
      votes.begin(), votes.end(),
      [&](const Vote& left, const Vote& right) { return order(left) < order(right); });
  Settled settled;
  settled.lineage.split = lineages[best->lineage].split;
  settled.several_splits = several_splits(votes, lineages);
  std::vector<Vote> electorate;
  std::copy_if(votes.begin(), votes.end(), std::back_inserter(electorate),
               [&](const Vote& vote) { return order(vote) == order(*best); });
  const std::vector<Vote> candidates = electorate;

  settled.lineage.name(Rank::kBin) = elect(electorate, lineages, Rank::kBin).winner;
  for (auto rank = static_cast<int>(Rank::kSpecies); rank >= 0; --rank) {
    const Election election = elect(electorate, lineages, static_cast<Rank>(rank));
    if (election.winner == 0) continue;
    settled.lineage.name(static_cast<Rank>(rank)) = election.winner;
    std::erase_if(electorate, [&](const Vote& vote) {
      return lineages[vote.lineage].name(static_cast<Rank>(rank)) != election.winner;
    });
  }

  // Those of other species, who had no vote on the genus, disagree all the same.
  settled.several_species = elect(candidates, lineages, Rank::kSpecies).several;
  settled.several_genera = elect(candidates, lineages, Rank::kGenus).several;
  settled.species_by_majority =
      settled.several_species && settled.lineage.name(Rank::kSpecies) != 0;
  settled.genus_by_majority = settled.several_genera && settled.lineage.name(Rank::kGenus) != 0;

  const auto merit = [&](const Vote& vote) {
    return std::tuple(-agreement(lineages[vote.lineage], settled.lineage), vote.key);
  };
  settled.key = std::min_element(
                    candidates.begin(), candidates.end(),
                    [&](const Vote& left, const Vote& right) { return merit(left) < merit(right); })
                    ->key;
  return settled;
}

Settled settle_by_first(std::span<const Vote> votes, const LineageTable& lineages) {
  BARCODEMAE_CHECK(!votes.empty(), "a barcode without records");
  const auto first =
      std::min_element(votes.begin(), votes.end(),
                       [](const Vote& left, const Vote& right) { return left.key < right.key; });
  Settled settled;
  settled.lineage = lineages[first->lineage];
  settled.key = first->key;
  settled.several_splits = several_splits(votes, lineages);
  settled.several_species = elect(votes, lineages, Rank::kSpecies).several;
  settled.several_genera = elect(votes, lineages, Rank::kGenus).several;
  return settled;
}

}  // namespace barcodemae
