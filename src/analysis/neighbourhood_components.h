// SPDX-License-Identifier: MIT
// A readout taught by the question it is for: is the nearest barcode of another species one of the
// same genus?
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "formats/npy.h"
#include "formats/readout.h"

namespace barcodemae {

struct NeighbourhoodOptions {
  int steps = 400;
  int groups = 512;  ///< in a batch, drawn from those of two classes or more
  int members = 4;   ///< classes of each group in a batch, a row of each; fewer where it has fewer
  double temperature = 0.03;  ///< of the softmax over cosines
  /// Of a hidden layer that is learned beside the matrix, and which adds nothing at first; 0: none.
  /// The readout to begin with has none.
  int hidden_units = 0;
  /// AdamW's highest rate, of a matrix whose rows have norm 1 on average, for inputs of unit
  /// variance; it rises over 5 % of the steps and falls as a cosine to 0.
  double learning_rate = 1e-3;
  std::uint64_t seed = 1;  ///< of the batches and the hidden layer
  /// Columns from here on are four a site of the marker, some sites of which are hidden (0 for
  /// their mean), as if the barcode were shorter; −1: there are none.
  std::int64_t first_site = -1;
  double hidden_sites = 0.05;  ///< share of them, on average; of a row, up to twice as much
  /// As in GroupReadoutOptions: each kind is scaled to a mean variance of 1.
  std::vector<std::int64_t> kinds = {};
};

struct NeighbourhoodLoss {
  double loss = 0;  ///< mean over the rows
  Matrix gradient;  ///< by the vectors, of the same shape
};

/// Neighbourhood components analysis (Goldberger et al., NeurIPS 2004) by cosine: the mean over
/// rows i of −log Σ_{j ∈ group of i} p_ij, p_i the softmax over j ≠ i of cosines / temperature.
/// Every row is taken to be of a class of its own, so that a row never finds its own class.
/// `groups` [rows]: each at least twice.
NeighbourhoodLoss neighbourhood_loss(const Matrix& vectors, std::span<const std::int32_t> groups,
                                     double temperature);

/// Throws UserError when fewer than two groups have two classes.
void require_neighbours(std::span<const std::int32_t> classes,
                        std::span<const std::int32_t> groups);

/// `start` after `options.steps` steps on batches of `vectors`; `classes` and `groups` [rows of
/// `vectors`], ≥ 0: e.g. species and genus. The mean stays. The same bits for any number of
/// threads. Throws as require_neighbours does.
Readout refine_by_neighbours(const Readout& start, const Matrix& vectors,
                             std::span<const std::int32_t> classes,
                             std::span<const std::int32_t> groups,
                             const NeighbourhoodOptions& options);

}  // namespace barcodemae
