// SPDX-License-Identifier: MIT
#pragma once

#include "formats/npy.h"
#include "formats/readout.h"

namespace barcodemae {

struct ReadoutActivations {
  Matrix hidden;  ///< [rows, units], after relu
  Matrix mapped;  ///< [rows, dimensions]
};

/// What a readout makes of rows [rows, inputs] from which its mean is subtracted already. The same
/// bits for any number of threads.
ReadoutActivations forward(const Readout& readout, const Matrix& centred);

}  // namespace barcodemae
