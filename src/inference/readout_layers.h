// SPDX-License-Identifier: MIT
// A readout (formats/readout.h) as layers on a backend.
#pragma once

#include <cstdint>
#include <memory>

#include "formats/readout.h"
#include "tensor/arena.h"
#include "tensor/backend.h"

namespace barcodemae {

/// In float32, whatever the precision of the encoder; a row's result does not depend on the others.
class ReadoutLayers {
 public:
  /// `backend` must outlive the layers.
  ReadoutLayers(std::shared_ptr<const Readout> readout, Backend& backend);

  /// Rows that are worth a call.
  std::int64_t worthwhile_rows() const { return block_rows_; }

  /// [rows, inputs] → [rows, dimensions].
  Matrix operator()(const Matrix& vectors);

 private:
  std::shared_ptr<const Readout> readout_;
  Parameters parameters_;
  LinearLayer first_;   ///< matrix over hidden.in: [dimensions + units, inputs]
  LinearLayer second_;  ///< hidden.out; unused without a hidden layer
  Arena arena_;
  std::int64_t block_rows_;
};

}  // namespace barcodemae
