// SPDX-License-Identifier: MIT
#include "marker/marker_profile.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "marker/base_number.h"
#include "marker/codon_period.h"

namespace barcodemae {
namespace {

constexpr int kJsonVersion = 1;
constexpr std::int64_t kMaxLength = 100000;
constexpr std::int64_t kMaxCount = std::int64_t{1} << 48;

std::int64_t depth(const std::array<std::int64_t, 4>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

}  // namespace

/// One strand of a sequence in bit planes, zeros around it, so that any 64 bases beginning between
/// −63 and its length can be read at once.
class MarkerProfile::Strand {
 public:
  struct Word {
    std::uint64_t low = 0, high = 0, known = 0;
  };

  explicit Strand(std::string_view sequence) : words_(sequence.size() / 64 + 3) {
    for (std::size_t i = 0; i < sequence.size(); ++i) {
      const int number = base_number(sequence[i]);
      if (number < 0) continue;
      Word& word = words_[i / 64 + 1];
      const auto bits = static_cast<std::uint64_t>(number);
      word.low |= (bits & 1) << (i % 64);
      word.high |= (bits >> 1) << (i % 64);
      word.known |= std::uint64_t{1} << (i % 64);
    }
  }

  /// Bases first … first + 63.
  Word read(std::int64_t first) const {
    const auto bit = static_cast<std::size_t>(first + 64);
    const Word& left = words_[bit / 64];
    const Word& right = words_[bit / 64 + 1];
    const auto shift = bit % 64;
    // Two shifts, since one by 64 is undefined.
    const auto join = [shift](std::uint64_t a, std::uint64_t b) {
      return a >> shift | b << 1 << (63 - shift);
    };
    return {join(left.low, right.low), join(left.high, right.high), join(left.known, right.known)};
  }

 private:
  std::vector<Word> words_;
};

MarkerProfile::MarkerProfile(SiteCounts counts) : counts_(std::move(counts)) {
  consensus_.reserve(counts_.size());
  frequencies_.reserve(counts_.size());
  for (const auto& site : counts_) {
    const std::int64_t total = depth(site);
    std::array<float, 4> frequency{};
    for (std::size_t base = 0; base < 4 && total > 0; ++base) {
      frequency[base] =
          static_cast<float>(static_cast<double>(site[base]) / static_cast<double>(total));
    }
    frequencies_.push_back(frequency);
    const auto most = static_cast<std::size_t>(std::ranges::max_element(site) - site.begin());
    consensus_.push_back(total > 0 ? kBases[most] : 'N');
  }
  const std::optional<CodonPeriod> codons = find_codon_period(frequencies_);
  has_codons_ = codons.has_value();
  codon_start_ = codons ? codons->start : 0;
  index_conserved_sites();
}

void MarkerProfile::index_conserved_sites() {
  // Sites that few records cover may look conserved for want of evidence.
  constexpr double kMinimumDepth = 0.1;
  std::int64_t deepest = 0;
  for (const auto& site : counts_) deepest = std::max(deepest, depth(site));

  sites_.assign((counts_.size() + 63) / 64, {});
  for (std::size_t site = 0; site < counts_.size(); ++site) {
    const auto total = static_cast<double>(depth(counts_[site]));
    const auto most = static_cast<double>(*std::ranges::max_element(counts_[site]));
    const int number = base_number(consensus_[site]);
    if (number < 0 || total < kMinimumDepth * static_cast<double>(deepest) ||
        most <= kConservation * total) {
      continue;
    }
    SiteWord& word = sites_[site / 64];
    const auto bits = static_cast<std::uint64_t>(number);
    word.low |= (bits & 1) << (site % 64);
    word.high |= (bits >> 1) << (site % 64);
    word.conserved |= std::uint64_t{1} << (site % 64);
  }
  conserved_before_.assign(1, 0);
  for (const SiteWord& word : sites_) {
    conserved_before_.push_back(conserved_before_.back() + std::popcount(word.conserved));
  }
}

Placement MarkerProfile::place(std::string_view sequence) const {
  // Beyond this share agreeing, over half of all conserved sites: nothing better can come.
  constexpr double kCertain = 0.9;
  const auto bases = static_cast<std::int64_t>(sequence.size());
  const std::array<Strand, 2> strands{Strand(sequence), Strand(reverse_complement(sequence))};
  Placement best;
  int best_agreeing = 0;

  // Returns true when the search may end.
  const auto consider = [&](std::size_t strand, std::int64_t begin) {
    const auto first = static_cast<std::size_t>(std::max<std::int64_t>(begin, 0) / 64);
    const auto last = static_cast<std::size_t>(
        (std::min<std::int64_t>(begin + bases, length()) + 63) / 64);  // one past
    const int reachable = conserved_before_[last] - conserved_before_[first];
    const int allowed = reachable - static_cast<int>(std::ceil(kAgreement * reachable));
    int covered = 0, disagreeing = 0;
    for (std::size_t i = first; i < last; ++i) {
      const SiteWord& site = sites_[i];
      const Strand::Word word = strands[strand].read(static_cast<std::int64_t>(i) * 64 - begin);
      const std::uint64_t compared = site.conserved & word.known;
      covered += std::popcount(compared);
      disagreeing += std::popcount(compared & ((site.low ^ word.low) | (site.high ^ word.high)));
      if (disagreeing > allowed) return false;
    }
    const int agreeing = covered - disagreeing;
    if (covered < kMinimumSites || agreeing < kAgreement * covered) return false;
    if (agreeing > best_agreeing) {
      best_agreeing = agreeing;
      best.begin = static_cast<int>(begin);
      best.reverse_complement = strand == 1;
      best.explained = true;
      best.agreement = static_cast<float>(agreeing) / static_cast<float>(covered);
    }
    return agreeing >= kCertain * covered && 2 * covered >= conserved_sites();
  };

  // Outwards from 0, since most barcodes begin near the marker's beginning.
  const std::int64_t lowest = kMinimumSites - bases, highest = length() - kMinimumSites;
  for (std::int64_t distance = 0; distance <= std::max(-lowest, highest); ++distance) {
    for (const std::int64_t begin : {distance, -distance}) {
      if (begin < lowest || begin > highest) continue;
      if (consider(0, begin) || consider(1, begin)) return best;
    }
  }
  return best;
}

std::string MarkerProfile::to_json() const {
  nlohmann::ordered_json json;
  json["format_version"] = kJsonVersion;
  json["length"] = length();
  json["codon_start"] = codon_start_;
  json["consensus"] = consensus_;
  for (std::size_t base = 0; base < 4; ++base) {
    auto& row = json["counts"][std::string(1, kBases[base])] = nlohmann::ordered_json::array();
    for (const auto& site : counts_) row.push_back(site[base]);
  }
  return json.dump() + "\n";
}

MarkerProfile MarkerProfile::from_json(std::string_view text, const std::string& source) {
  const auto require = [&source](bool condition, std::string_view expected) {
    if (condition) return;
    throw UserError(
        "{}: not a marker profile: expected {}.\n"
        "Use the marker.json of an anchored model, or --anchor auto to learn one from the data.",
        source, expected);
  };
  const auto integer = [&require](const nlohmann::json& value, std::int64_t low, std::int64_t high,
                                  std::string_view expected) {
    require(value.is_number_integer(), expected);
    // Beyond 2^63 an unsigned number turns negative here, and is refused as too small.
    const auto number = value.get<std::int64_t>();
    require(number >= low && number <= high, expected);
    return number;
  };

  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  require(json.is_object(), "a JSON object");
  const auto field = [&](const char* name) -> const nlohmann::json& {
    const auto found = json.find(name);
    require(found != json.end(), fmt::format("a field \"{}\"", name));
    return *found;
  };
  const std::int64_t version = integer(field("format_version"), 1, kMaxCount, "a format_version");
  if (version > kJsonVersion) {
    throw UserError(
        "{}: marker profile of format version {}; this program reads up to {}.\n"
        "Update barcodemae.",
        source, version, kJsonVersion);
  }
  const std::int64_t length =
      integer(field("length"), 1, kMaxLength, "a length between 1 and 100,000");
  SiteCounts counts(static_cast<std::size_t>(length));
  const nlohmann::json& rows = field("counts");
  require(rows.is_object(), "counts of A, C, G and T");
  for (std::size_t base = 0; base < 4; ++base) {
    const auto row = rows.find(std::string(1, kBases[base]));
    require(row != rows.end() && row->is_array() && row->size() == counts.size(),
            "counts of A, C, G and T, one for each of length sites");
    for (std::size_t site = 0; site < counts.size(); ++site) {
      counts[site][base] = integer((*row)[site], 0, kMaxCount, "counts that are not negative");
    }
  }
  MarkerProfile profile(std::move(counts));
  const nlohmann::json& consensus = field("consensus");
  require(consensus.is_string() && consensus.get_ref<const std::string&>() == profile.consensus_,
          "the consensus that its counts give");
  profile.codon_start_ =
      static_cast<int>(integer(field("codon_start"), 0, 2, "a codon_start of 0, 1 or 2"));
  require(profile.conserved_sites() >= kMinimumSites,
          fmt::format("at least {} conserved sites", kMinimumSites));
  return profile;
}

}  // namespace barcodemae
