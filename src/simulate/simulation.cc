// SPDX-License-Identifier: MIT
#include "simulate/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/threads.h"
#include "simulate/names.h"

namespace barcodemae {
namespace {

/// The barcode region in the simulated stretch: its first base is the last of the tenth codon.
constexpr int kRegionBegin = 29, kRegionLength = 658, kShortest = 500;
constexpr int kStretchLength = 3 * kCodonCount;
/// Mean branch length from a BIN's ancestor to an individual, exponentially distributed by BIN.
constexpr double kIndividualDepth = 0.01;
/// Mean number of bases missing at an end of a truncated record.
constexpr double kMeanMissing = 35;
/// Share of the records that run beyond the region, and by how many bases at most.
constexpr double kLonger = 0.05;
constexpr std::uint32_t kMostBeyond = 25;
/// Share of the ambiguous bases that are N; the others are R or Y. Further ones follow with this
/// chance.
constexpr double kUnknownBase = 0.9, kFurtherAmbiguous = 0.55;
constexpr double kMissingBin = 0.024, kMissingCountry = 0.05, kHomeCountry = 0.7;
constexpr int kGeneraPerSubfamily = 3;

constexpr std::array<std::string_view, 12> kCountries = {
    "Canada", "Costa Rica", "Australia", "South Africa", "Germany", "China",
    "Norway", "Pakistan",   "Argentina", "Thailand",     "Kenya",   "United States"};

// Steps of the random stream, apart from those of taxonomy and phylogeny.
constexpr std::uint32_t kRecordStep = 0x400, kBinDepthStep = 0x401, kOrderStep = 0x402;

void check_share(const char* option, double value) {
  if (!(value >= 0 && value <= 1)) {
    throw UserError("--{} {} makes no sense; expected a share from 0 to 1.", option, value);
  }
}

const SimulationOptions& checked(const SimulationOptions& options) {
  if (options.records < 1 || options.records > kMostSimulatedRecords) {
    throw UserError("--records {} makes no sense; expected 1 to {}.", options.records,
                    format_count(kMostSimulatedRecords));
  }
  check_share("truncated", options.truncated);
  check_share("ambiguous", options.ambiguous);
  check_share("reverse-complement", options.reverse_complement);
  check_share("unidentified", options.unidentified);
  return options;
}

char complement(char base) {
  switch (base) {
    case 'A':
      return 'T';
    case 'C':
      return 'G';
    case 'G':
      return 'C';
    case 'T':
      return 'A';
    case 'R':
      return 'Y';
    case 'Y':
      return 'R';
    default:
      return 'N';
  }
}

/// The bases [begin, end) of the stretch.
void write_bases(const CodonSequence& codons, int begin, int end, std::string& out) {
  out.clear();
  for (int i = begin / 3; i < (end + 2) / 3; ++i) {
    const std::uint8_t codon = codons[static_cast<std::size_t>(i)];
    const char bases[3] = {kBases[codon >> 4], kBases[(codon >> 2) & 3], kBases[codon & 3]};
    out.append(bases, 3);
  }
  out.erase(0, static_cast<std::size_t>(begin % 3));
  out.resize(static_cast<std::size_t>(end - begin));
}

/// Where a record begins and ends in the stretch.
std::pair<int, int> draw_ends(double truncated, RandomSequence& random) {
  int begin = kRegionBegin, end = kRegionBegin + kRegionLength;
  if (random.uniform() < truncated) {
    const auto missing = [&] { return static_cast<int>(draw_exponential(kMeanMissing, random)); };
    const int at_begin = missing(), at_end = missing();
    begin += std::min(at_begin, (kRegionLength - kShortest) / 2);
    end -= std::min(at_end, (kRegionLength - kShortest) / 2);
  } else if (random.uniform() < kLonger) {
    begin -= static_cast<int>(random.below(kMostBeyond + 1));
    end += static_cast<int>(random.below(kMostBeyond + 1));
  }
  return {begin, end};
}

void make_ambiguous(std::string& sequence, RandomSequence& random) {
  do {
    char& base = sequence[random.below(static_cast<std::uint32_t>(sequence.size()))];
    const bool purine = base == 'A' || base == 'G' || base == 'R';
    base = random.uniform() < kUnknownBase || base == 'N' ? 'N' : purine ? 'R' : 'Y';
  } while (random.uniform() < kFurtherAmbiguous);
}

}  // namespace

Simulation::Simulation(const SimulationOptions& options)
    : options_(checked(options)),
      taxonomy_(options),
      profile_(options.seed),
      phylogeny_(taxonomy_, profile_, options.seed) {
  static_assert(kRegionBegin >= static_cast<int>(kMostBeyond) &&
                kRegionBegin + kRegionLength + static_cast<int>(kMostBeyond) <= kStretchLength);
}

/// A random permutation of the individuals that needs no memory: a Feistel network over twice as
/// many bits as needed for half of them, walked until it falls among them.
std::int64_t Simulation::individual_at(std::int64_t index) const {
  int half_bits = 1;
  while ((std::int64_t{1} << (2 * half_bits)) < options_.records) ++half_bits;
  const std::uint32_t mask = (1u << half_bits) - 1;
  auto value = static_cast<std::uint64_t>(index);
  do {
    auto left = static_cast<std::uint32_t>(value >> half_bits);
    auto right = static_cast<std::uint32_t>(value) & mask;
    for (std::uint32_t round = 0; round < 4; ++round) {
      const std::uint32_t mixed =
          philox4x32({static_cast<std::uint32_t>(Stream::kSimulate), kOrderStep, round, right},
                     options_.seed)[0];
      left ^= mixed & mask;
      std::swap(left, right);
    }
    value = (std::uint64_t{left} << half_bits) | right;
  } while (value >= static_cast<std::uint64_t>(options_.records));
  return static_cast<std::int64_t>(value);
}

void Simulation::record(std::int64_t index, Record& record) const {
  const std::int64_t individual = individual_at(index);
  const std::int64_t species = taxonomy_.species_of(individual);
  const std::int64_t genus = taxonomy_.parent(Level::kSpecies, species);
  const std::int64_t family = taxonomy_.parent(Level::kGenus, genus);
  const std::int64_t order = taxonomy_.parent(Level::kFamily, family);
  const Split split = taxonomy_.split(individual);
  RandomSequence random(options_.seed, Stream::kSimulate, kRecordStep,
                        static_cast<std::uint32_t>(individual));

  // Every BIN of a species has an individual, the others are anywhere.
  const std::int64_t first_bin = taxonomy_.begin(Level::kBin, species);
  const std::int64_t bins = taxonomy_.end(Level::kBin, species) - first_bin;
  const std::int64_t number = individual - taxonomy_.first_individual(species);
  const std::int64_t bin =
      first_bin + (number < bins ? number : random.below(static_cast<std::uint32_t>(bins)));

  CodonSequence codons = phylogeny_.bins[static_cast<std::size_t>(bin)];
  RandomSequence bin_random(options_.seed, Stream::kSimulate, kBinDepthStep,
                            static_cast<std::uint32_t>(bin));
  const MutationModel model(phylogeny_.genus_at_bias[static_cast<std::size_t>(genus)]);
  model.evolve(codons, draw_exponential(kIndividualDepth, bin_random), profile_, random);
  const auto [begin, end] = draw_ends(options_.truncated, random);
  write_bases(codons, begin, end, record.sequence);
  if (random.uniform() < options_.ambiguous) make_ambiguous(record.sequence, random);
  if (random.uniform() < options_.reverse_complement) {
    std::reverse(record.sequence.begin(), record.sequence.end());
    std::transform(record.sequence.begin(), record.sequence.end(), record.sequence.begin(),
                   complement);
  }

  record.id = fmt::format("SIM{:08}", index + 1);
  record.line = index + 2;
  record.label(Rank::kKingdom).clear();
  record.label(Rank::kPhylum).clear();
  record.label(Rank::kClass) = class_name(taxonomy_.parent(Level::kOrder, order));
  record.label(Rank::kOrder) = order_name(order);
  record.label(Rank::kFamily) = family_name(family);
  // Families with few genera have no subfamilies; else some genera in a row make one.
  const std::int64_t first_genus = taxonomy_.begin(Level::kGenus, family);
  const bool divided = taxonomy_.end(Level::kGenus, family) - first_genus > kGeneraPerSubfamily;
  const std::int64_t subfamily = (genus - first_genus) / kGeneraPerSubfamily;
  record.label(Rank::kSubfamily) =
      divided ? subfamily_name(first_genus + subfamily) : std::string();
  record.label(Rank::kGenus) = genus_name(genus);
  const bool unidentified = split == Split::kPretrain && random.uniform() < options_.unidentified;
  const std::int64_t epithet = species - taxonomy_.begin(Level::kSpecies, genus);
  record.label(Rank::kSpecies) =
      unidentified ? std::string() : record.label(Rank::kGenus) + ' ' + species_epithet(epithet);
  const bool without_bin = split == Split::kPretrain && random.uniform() < kMissingBin;
  record.label(Rank::kBin) = without_bin ? std::string() : bin_name(bin);
  const bool abroad = random.uniform() >= kHomeCountry;
  const auto country = static_cast<std::size_t>(
      abroad ? random.below(kCountries.size())
             : static_cast<std::uint32_t>(species % std::int64_t{kCountries.size()}));
  record.country = random.uniform() < kMissingCountry ? std::string_view() : kCountries[country];
  record.split = to_string(split);
}

void write_simulation(const Simulation& simulation, RecordWriter& writer) {
  constexpr std::int64_t kPiece = 1024, kPiecesAtOnce = 64;
  Progress progress("simulating", "barcodes", simulation.size());
  const std::int64_t pieces = (simulation.size() + kPiece - 1) / kPiece;
  std::vector<std::string> encoded(kPiecesAtOnce);
  for (std::int64_t first = 0; first < pieces; first += kPiecesAtOnce) {
    const std::int64_t count = std::min(kPiecesAtOnce, pieces - first);
    parallel_for(count, [&](std::int64_t i, int) {
      const std::int64_t begin = (first + i) * kPiece;
      std::vector<Record> records(
          static_cast<std::size_t>(std::min(kPiece, simulation.size() - begin)));
      for (std::size_t r = 0; r < records.size(); ++r) {
        simulation.record(begin + static_cast<std::int64_t>(r), records[r]);
      }
      encoded[static_cast<std::size_t>(i)] = writer.encode(records);
    });
    for (std::int64_t i = 0; i < count; ++i) writer.write(encoded[static_cast<std::size_t>(i)]);
    progress.update(std::min(simulation.size(), (first + count) * kPiece));
  }
  progress.finish();
}

}  // namespace barcodemae
