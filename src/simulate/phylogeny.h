// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "simulate/codon_evolution.h"
#include "simulate/taxonomy.h"

namespace barcodemae {

/// The ancestral sequence of every BIN, grown down the taxonomy: the children of each taxon are the
/// tips of a random tree that begins with the taxon's own sequence.
struct Phylogeny {
  Phylogeny(const Taxonomy& taxonomy, const ProteinProfile& profile, std::uint64_t seed);

  std::vector<CodonSequence> bins;   ///< [BINs]
  std::vector<float> genus_at_bias;  ///< [genera], see MutationModel
};

}  // namespace barcodemae
