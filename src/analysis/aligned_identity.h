// SPDX-License-Identifier: MIT
// The strongest baseline that needs no training: identity over shared sites in marker coordinates.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "analysis/nearest.h"
#include "data/dataset.h"

namespace barcodemae {

/// Sequences in marker coordinates, three bits a site (present, and the base), laid out so that one
/// SIMD lane compares one key.
///
/// identity(a, b) = 1 − D / S, where S sums the weights of the sites both have, D those where they
/// differ. The third codon position, which saturates, weighs ½ when the marker has codons; the
/// others 1. Pairs that share fewer than half of the query's sites are not compared.
class AlignedSequences {
 public:
  /// `data` must have been anchored by `profile`.
  AlignedSequences(const Dataset& data, std::span<const std::int64_t> records,
                   const MarkerProfile& profile);

  std::int64_t size() const { return size_; }
  /// Most identical key of every query; ties to the lowest key. Shows progress under `title` unless
  /// it is empty. The similarity of a query that shares too little with every key is 0, its key −1.
  static std::vector<Neighbour> nearest(const AlignedSequences& keys,
                                        const AlignedSequences& queries,
                                        const std::string& title = {});

 private:
  std::int64_t size_ = 0, words_ = 0;
  /// Per group of kLanes sequences: words × {present, low bit, high bit} × lanes.
  std::vector<std::uint64_t> planes_;
  /// Sites of weight 1; the rest weigh ½. [words]
  std::vector<std::uint64_t> full_weight_;
};

}  // namespace barcodemae
