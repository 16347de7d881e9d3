// SPDX-License-Identifier: MIT
#include "simulate/taxonomy.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace barcodemae {
namespace {

// Sizes as in 518,000 public arthropod barcodes: records per species, species per genus, genera per
// family and families per order are all close to log-normal, with half of the taxa below a third of
// the mean.
constexpr double kLogSizeDeviation = 1.5;
constexpr double kRecordsPerSpecies = 8, kSpeciesPerGenus = 8;
constexpr double kFamilyExponent = 0.79, kOrderExponent = 0.64, kClassExponent = 0.66;
/// Share of the species with two records or more that fall into several BINs.
constexpr double kSplitSpecies = 0.28, kFurtherBin = 0.35;
constexpr std::int64_t kMostBins = 8;
/// Share of the seen species that supervision knows.
constexpr double kSupervisedSpecies = 0.45;

// Steps of the random stream, apart from those of the phylogeny.
constexpr std::uint32_t kSizeStep = 0x200, kBinStep = 0x300, kSplitStep = 0x301;

/// Divides `total` among `groups`, at least one each, log-normally.
std::vector<std::int64_t> divide(std::int64_t total, std::int64_t groups, RandomSequence random) {
  std::vector<double> weights(static_cast<std::size_t>(groups));
  for (double& weight : weights) weight = std::exp(kLogSizeDeviation * random.normal());
  // What a group of this scale has beyond its one member; the scale that makes up the total is
  // found by bisection.
  const auto spare = [](double weight, double scale) { return std::max(0.0, scale * weight - 1); };
  const auto wanted = static_cast<double>(total - groups);
  double low = 0,
         high = 2 * static_cast<double>(total) / *std::max_element(weights.begin(), weights.end());
  for (int step = 0; step < 60; ++step) {
    const double scale = (low + high) / 2;
    double sum = 0;
    for (const double weight : weights) sum += spare(weight, scale);
    (sum < wanted ? low : high) = scale;
  }
  std::vector<std::int64_t> begins{0};
  begins.reserve(weights.size() + 1);
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    sum += spare(weights[i], low);
    begins.push_back(static_cast<std::int64_t>(i + 1) + std::llround(sum));
  }
  begins.back() = total;
  return begins;
}

std::vector<std::uint32_t> parents_of(const std::vector<std::int64_t>& begins) {
  std::vector<std::uint32_t> parents(static_cast<std::size_t>(begins.back()));
  for (std::size_t parent = 0; parent + 1 < begins.size(); ++parent) {
    std::fill(parents.begin() + begins[parent], parents.begin() + begins[parent + 1],
              static_cast<std::uint32_t>(parent));
  }
  return parents;
}

std::int64_t at_least_one(double number) { return std::max<std::int64_t>(1, std::llround(number)); }

}  // namespace

const char* to_string(Split split) {
  static constexpr std::array<const char*, kSplitCount> kNames = {
      "pretrain", "train", "val", "test", "val_unseen", "test_unseen"};
  return kNames[static_cast<std::size_t>(split)];
}

Taxonomy::Taxonomy(const SimulationOptions& options) {
  const auto chosen = [](std::int64_t wanted, std::int64_t most, double guess) {
    return wanted > 0 ? wanted : std::min(most, at_least_one(guess));
  };
  const auto records = static_cast<double>(options.records);
  const std::int64_t species =
      chosen(options.species, options.records, records / kRecordsPerSpecies);
  const std::int64_t genera =
      chosen(options.genera, species, static_cast<double>(species) / kSpeciesPerGenus);
  const std::int64_t families =
      chosen(options.families, genera, std::pow(static_cast<double>(genera), kFamilyExponent));
  const std::int64_t orders =
      chosen(options.orders, families, std::pow(static_cast<double>(families), kOrderExponent));
  const std::int64_t classes =
      chosen(options.classes, orders, std::pow(static_cast<double>(orders), kClassExponent));
  const std::array<std::int64_t, 7> counts = {1,      classes, orders,         families,
                                              genera, species, options.records};
  constexpr std::array<const char*, 7> kNames = {"",       "classes", "orders", "families",
                                                 "genera", "species", "records"};
  for (std::size_t i = 1; i < counts.size(); ++i) {
    if (counts[i] < counts[i - 1]) {
      throw UserError(
          "{} {} cannot hold {} {}: every taxon has at least one member.\n"
          "Ask for more {} (--{}), or for fewer {} (--{}).",
          counts[i], kNames[i], counts[i - 1], kNames[i - 1], kNames[i], kNames[i], kNames[i - 1],
          kNames[i - 1]);
    }
  }
  const auto sizes = [&](std::size_t i) {
    return divide(
        counts[i + 1], counts[i],
        RandomSequence(options.seed, Stream::kSimulate, kSizeStep + static_cast<std::uint32_t>(i)));
  };
  for (std::size_t level = 0; level < 5; ++level) begins_[level] = sizes(level);
  individual_begins_ = sizes(5);

  // BINs: most species are one, some several.
  std::vector<std::int64_t>& bins = begins_[static_cast<std::size_t>(Level::kBin)];
  bins = {0};
  RandomSequence random(options.seed, Stream::kSimulate, kBinStep);
  for (std::int64_t s = 0; s < species; ++s) {
    const std::int64_t most = std::min(kMostBins, first_individual(s + 1) - first_individual(s));
    std::int64_t count = 1;
    if (most > 1 && random.uniform() < kSplitSpecies) {
      ++count;
      while (count < most && random.uniform() < kFurtherBin) ++count;
    }
    bins.push_back(bins.back() + count);
  }
  for (std::size_t level = 0; level < begins_.size(); ++level) {
    parents_[level] = parents_of(begins_[level]);
  }
  assign_splits(options.seed);
}

std::int64_t Taxonomy::species_of(std::int64_t individual) const {
  return std::upper_bound(individual_begins_.begin(), individual_begins_.end(), individual) -
         individual_begins_.begin() - 1;
}

void Taxonomy::assign_splits(std::uint64_t seed) {
  splits_.assign(static_cast<std::size_t>(individuals()), Split::kPretrain);
  RandomSequence random(seed, Stream::kSimulate, kSplitStep);
  const auto species_count = static_cast<std::size_t>(size(Level::kSpecies));
  const auto quota = [&](Split split) {
    return std::llround(kSplitShares[static_cast<std::size_t>(split)] *
                        static_cast<double>(individuals()));
  };
  const auto individuals_of = [&](std::int64_t species) {
    return first_individual(species + 1) - first_individual(species);
  };

  // Unseen species, in random order: all of a species' records go to one split. The largest species
  // of a genus stays, and supervision knows it; so does half of the genus.
  std::vector<std::uint32_t> order(species_count);
  std::iota(order.begin(), order.end(), 0u);
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  }
  std::vector<bool> unseen(species_count), supervised(species_count);
  for (std::size_t s = 0; s < species_count; ++s) {
    supervised[s] = random.uniform() < kSupervisedSpecies;
  }
  std::vector<std::int64_t> largest(static_cast<std::size_t>(size(Level::kGenus)));
  for (std::size_t g = 0; g < largest.size(); ++g) {
    const auto genus = static_cast<std::int64_t>(g);
    largest[g] = begin(Level::kSpecies, genus);
    for (std::int64_t s = largest[g]; s < end(Level::kSpecies, genus); ++s) {
      if (individuals_of(s) > individuals_of(largest[g])) largest[g] = s;
    }
  }
  std::vector<std::int64_t> unseen_in_genus(largest.size());
  std::array<std::int64_t, kSplitCount> left{};
  for (const Split split : {Split::kValUnseen, Split::kTestUnseen}) {
    left[static_cast<std::size_t>(split)] = quota(split);
  }
  for (const std::uint32_t s : order) {
    const std::int64_t species = s;
    const auto genus = static_cast<std::size_t>(parent(Level::kSpecies, species));
    const std::int64_t members = end(Level::kSpecies, static_cast<std::int64_t>(genus)) -
                                 begin(Level::kSpecies, static_cast<std::int64_t>(genus));
    if (species == largest[genus] || 2 * (unseen_in_genus[genus] + 1) > members) continue;
    std::int64_t& test = left[static_cast<std::size_t>(Split::kTestUnseen)];
    std::int64_t& val = left[static_cast<std::size_t>(Split::kValUnseen)];
    // test_unseen is twice as large as val_unseen: this fills both at the same pace.
    const Split split = test >= 2 * val ? Split::kTestUnseen : Split::kValUnseen;
    std::int64_t& room = split == Split::kTestUnseen ? test : val;
    if (individuals_of(species) > room) continue;
    room -= individuals_of(species);
    unseen[s] = true;
    ++unseen_in_genus[genus];
    supervised[static_cast<std::size_t>(largest[genus])] = true;
    std::fill(splits_.begin() + first_individual(species),
              splits_.begin() + first_individual(species + 1), split);
  }

  // Of a supervised species the first record is in train; the others are drawn without replacement
  // (Knuth, Algorithm S) for val, test and the rest of train.
  std::int64_t candidates = 0, known = 0;
  for (std::size_t s = 0; s < species_count; ++s) {
    if (unseen[s] || !supervised[s]) continue;
    ++known;
    candidates += individuals_of(static_cast<std::int64_t>(s)) - 1;
  }
  std::array<std::pair<Split, std::int64_t>, 3> wanted = {
      std::pair{Split::kVal, quota(Split::kVal)}, std::pair{Split::kTest, quota(Split::kTest)},
      std::pair{Split::kTrain, std::max<std::int64_t>(0, quota(Split::kTrain) - known)}};
  for (std::size_t s = 0; s < species_count; ++s) {
    if (unseen[s] || !supervised[s]) continue;
    const std::int64_t first = first_individual(static_cast<std::int64_t>(s));
    splits_[static_cast<std::size_t>(first)] = Split::kTrain;
    for (std::int64_t i = first + 1; i < first_individual(static_cast<std::int64_t>(s) + 1); ++i) {
      double number = random.uniform() * static_cast<double>(candidates--);
      for (auto& [split, left_over] : wanted) {
        if (number < static_cast<double>(left_over)) {
          splits_[static_cast<std::size_t>(i)] = split;
          --left_over;
          break;
        }
        number -= static_cast<double>(left_over);
      }
    }
  }
}

}  // namespace barcodemae
