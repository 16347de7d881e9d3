// SPDX-License-Identifier: MIT
// Marker coordinates: where in the barcode region a sequence lies, without gaps.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "marker/reverse_complement.h"

namespace barcodemae {

/// Where a sequence lies in the marker.
struct Placement {
  int begin = 0;                    ///< coordinate of the first base; may be negative
  bool reverse_complement = false;  ///< orient first, then shift
  bool explained = false;  ///< false: the profile does not fit, begin is 0 and the strand kept
  float agreement = 0;     ///< share of the conserved sites covered that agree; 0 unless explained
};

/// Consensus and conservation per site of a marker, learned from the most complete records of a
/// data set. Aligning costs microseconds: a barcode without indels only has to be shifted, and a
/// shift is judged 64 sites at a time.
class MarkerProfile {
 public:
  /// Sites with one base in more than this share of the records are conserved.
  static constexpr double kConservation = 0.9;
  /// A record is explained when at least this share of the conserved sites it covers agree …
  static constexpr double kAgreement = 0.8;
  /// … and it covers so many of them that chance does not reach that share anywhere: at 40 % of
  /// random bases agreeing and 1,300 placements tried, less than once in 500 records.
  static constexpr int kMinimumSites = 40;
  /// Learning looks at no more than so many records, evenly spaced.
  static constexpr std::int64_t kLearningRecords = 20000;

  /// Learns a profile from normalised sequences. The most common length among them is taken for
  /// that of complete records and gives the coordinates; these records, each on the strand that
  /// agrees with those before it, give a first consensus; then all are placed and counted, three
  /// times over. Forward is the coding strand where the sites show one (codon_period.h), else the
  /// strand of most complete records. nullopt when no such region exists: fewer than 20 records of
  /// one length, fewer than kMinimumSites conserved sites. Deterministic.
  static std::optional<MarkerProfile> learn(const std::vector<std::string_view>& sequences);

  /// Best strand and shift, by the number of agreeing sites; see Placement.
  Placement place(std::string_view sequence) const;

  int length() const { return static_cast<int>(consensus_.size()); }
  /// Coordinate of the first base of the first whole codon (0, 1 or 2): see codon_period.h.
  /// 0 for markers without such a period.
  int codon_start() const { return codon_start_; }
  /// Whether the sites vary with the period of codons at all.
  bool has_codons() const { return has_codons_; }
  /// Most frequent base per site; N where no record has one.
  const std::string& consensus() const { return consensus_; }
  /// Relative frequency of A, C, G, T per site.
  const std::vector<std::array<float, 4>>& frequencies() const { return frequencies_; }
  /// Whether the site takes part in placing records.
  bool conserved(int site) const {
    return (sites_[static_cast<std::size_t>(site / 64)].conserved >> (site % 64) & 1) != 0;
  }
  int conserved_sites() const { return conserved_before_.back(); }

  /// The profile as a JSON object (marker.json in a model directory) and back. Throws UserError
  /// (naming `source`) on anything malformed.
  std::string to_json() const;
  static MarkerProfile from_json(std::string_view text, const std::string& source);

 private:
  using SiteCounts = std::vector<std::array<std::int64_t, 4>>;  ///< A, C, G, T per site
  /// 64 sites of the consensus, a bit each: the two bits of the base's number in ACGT, and whether
  /// the site is conserved.
  struct SiteWord {
    std::uint64_t low = 0, high = 0, conserved = 0;
  };
  class Strand;

  explicit MarkerProfile(SiteCounts counts);
  void index_conserved_sites();

  static SiteCounts flipped(SiteCounts counts);  ///< to the other strand
  static std::optional<SiteCounts> count_complete_records(
      const std::vector<std::string_view>& sequences);
  SiteCounts count_placed_records(const std::vector<std::string_view>& sequences) const;

  SiteCounts counts_;
  // What follows derives from the counts.
  std::string consensus_;
  std::vector<std::array<float, 4>> frequencies_;
  int codon_start_ = 0;
  bool has_codons_ = false;
  std::vector<SiteWord> sites_;
  std::vector<int> conserved_before_;  ///< [words + 1]: conserved sites before each word
};

}  // namespace barcodemae
