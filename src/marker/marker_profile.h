// SPDX-License-Identifier: MIT
// Marker coordinates: where in the barcode region a sequence lies, without gaps.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace barcodemae {

/// Where a sequence lies in the marker.
struct Placement {
  int begin = 0;               ///< coordinate of the first base; may be negative
  bool reverse_complement = false;  ///< orient first, then shift
  bool explained = false;      ///< false: the profile does not fit, begin is 0 and the strand kept
  float agreement = 0;         ///< share of the conserved sites covered that agree
};

/// Consensus and conservation per site of a marker, learned from the most complete records of a data
/// set. Aligning costs a few microseconds: a barcode without indels only has to be shifted.
class MarkerProfile {
 public:
  /// Sites with one base in more than this share of the records are conserved (recipe: 90 %).
  static constexpr double kConservation = 0.9;
  /// A record is explained when at least this share of the conserved sites it covers agree.
  static constexpr double kAgreement = 0.8;

  /// Learns a profile from sequences: the length most common among complete records gives the
  /// coordinates, counts over them the consensus; records are then placed and counted once more.
  /// nullopt when no such region exists (too few records, or nothing conserved). Deterministic.
  static std::optional<MarkerProfile> learn(const std::vector<std::string_view>& sequences);

  /// Best strand and shift; see Placement.
  Placement place(std::string_view sequence) const;

  int length() const { return static_cast<int>(consensus_.size()); }
  /// Coordinate of the first base of the first whole codon (0, 1 or 2): the third codon position is
  /// the one whose sites vary most. 0 for markers without such a period.
  int codon_start() const { return codon_start_; }
  const std::string& consensus() const { return consensus_; }
  /// Relative frequency of A, C, G, T per site.
  const std::vector<std::array<float, 4>>& frequencies() const { return frequencies_; }

  /// The profile as a JSON object (marker.json in a model directory) and back. Throws UserError
  /// (naming `source`) on anything malformed.
  std::string to_json() const;
  static MarkerProfile from_json(std::string_view text, const std::string& source);

 private:
  MarkerProfile() = default;
  void index_conserved_sites();

  std::string consensus_;
  std::vector<std::array<float, 4>> frequencies_;
  int codon_start_ = 0;
  std::int64_t records_ = 0;  ///< it was learned from
  std::vector<int> conserved_sites_;
};

/// Reverse complement; IUPAC codes are complemented too.
std::string reverse_complement(std::string_view sequence);

}  // namespace barcodemae
