// SPDX-License-Identifier: MIT
// What an op needs to know about the run it is part of.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/arena.h"
#include "tensor/backend.h"
#include "tensor/tape.h"

namespace barcodemae {

/// A matrix made by an op. It lives in the arena until the next rewind.
struct Tensor {
  View view;
  int node = -1;  ///< its gradient slot on the tape; −1: no gradient flows here

  std::int64_t rows() const { return view.rows; }
  std::int64_t cols() const { return view.cols; }
};

/// Handed to every op; a copy refers to the same run. `tape` null: inference, nothing is saved and
/// dropout is off.
struct Context {
  Backend& backend;
  Arena& arena;
  Tape* tape = nullptr;
  DType activation = DType::kFloat32;

  std::uint64_t seed = 0;  ///< of the dropout masks
  std::uint32_t step = 0;  ///< optimiser step

  /// Dropout of this run at a site; the identity without a tape.
  Dropout dropout(float probability, std::uint32_t site) const;
  /// True while the arena only counts: ops then launch nothing.
  bool measuring() const { return arena.measuring(); }

  /// Says that a tensor is not needed any more. Its memory is given back when nothing else wants
  /// it: without a tape.
  void discard(const Tensor& tensor);

  /// int32 host values as a device column [values.size() / cols, cols].
  View upload(std::span<const std::int32_t> values, std::int64_t cols = 1);
  /// Statistics' type: float64 with float64 activations, else float32.
  DType statistics() const {
    return activation == DType::kFloat64 ? DType::kFloat64 : DType::kFloat32;
  }
};

}  // namespace barcodemae
