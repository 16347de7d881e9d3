// SPDX-License-Identifier: MIT
// Is an embedding alive? Collapse shows here while it happens (design: the plateau).
#pragma once

#include "formats/npy.h"

namespace barcodemae {

/// exp of the entropy of the normalised eigenvalues of the centred covariance (Roy and Vetterli,
/// "The effective rank", EUSIPCO 2007, on variances): 1 when all vectors lie on a line, the width
/// when they fill the space evenly, 0 when they are all equal, NaN when one is not finite. Of more
/// than 10,000 rows, that many are taken, evenly spaced.
double effective_rank(const Matrix& matrix);

/// Mean cosine over all pairs of different rows; 0 for fewer than two rows. Zero rows count as
/// orthogonal to everything.
double mean_pairwise_cosine(const Matrix& matrix);

}  // namespace barcodemae
