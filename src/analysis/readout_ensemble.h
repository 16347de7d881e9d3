// SPDX-License-Identifier: MIT
// Several readouts of the same vectors as one: what each learned by chance evens out.
#pragma once

#include <cstdint>
#include <vector>

#include "formats/npy.h"
#include "formats/readout.h"

namespace barcodemae {

/// Rows of `vectors` [rows, inputs] through a readout: [rows, dimensions]. The same bits for any
/// number of threads.
Matrix read_out(const Readout& readout, const Matrix& vectors);

inline constexpr std::int64_t kMostEnsembleRows = 30'000;  ///< enough for second moments

/// The members' results side by side, each scaled to a mean square of 1 over `vectors` (of which
/// at most kMostEnsembleRows are used), then turned to the `dimensions` directions in which they
/// are largest: the leading eigenvectors of their second moments. A cosine is so, but for what the
/// last directions held, that of the members together. Members share their mean and their numbers
/// of dimensions; `dimensions` is at most the sum of theirs. The same bits for any number of
/// threads.
Readout combine_readouts(const std::vector<Readout>& members, const Matrix& vectors,
                         int dimensions);

}  // namespace barcodemae
