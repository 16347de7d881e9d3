// SPDX-License-Identifier: MIT
// The last step from hidden states to a vector, fitted after training and stored with the model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "formats/npy.h"
#include "formats/safetensors.h"

namespace barcodemae {

/// Of a readout for which nobody asked for a number of its own.
inline constexpr int kMostComponents = 512;

/// An affine map of pooled vectors and, where there is a hidden layer, what that adds:
/// x → matrix · c + out · relu(in · c), c = x − mean.
struct Readout {
  struct HiddenLayer {
    Matrix in;   ///< [units, inputs]
    Matrix out;  ///< [dimensions, units]
  };
  std::vector<float> mean;  ///< [inputs]
  Matrix matrix;            ///< [dimensions, inputs]
  HiddenLayer hidden = {};  ///< 0 units: none

  int inputs() const { return static_cast<int>(matrix.cols); }
  int dimensions() const { return static_cast<int>(matrix.rows); }
  int hidden_units() const { return static_cast<int>(hidden.in.rows); }
  /// Of the matrices: each is in one product for a vector.
  std::int64_t weights() const {
    return matrix.rows * matrix.cols + hidden.in.rows * hidden.in.cols +
           hidden.out.rows * hidden.out.cols;
  }
};

/// readout.safetensors: "readout.mean" [inputs], float32; "readout.matrix" [dimensions, inputs]
/// and, with a hidden layer, "readout.hidden.in" [units, inputs] and "readout.hidden.out"
/// [dimensions, units], of `type`: kF32 or kBF16.
void write_readout(const std::filesystem::path& path, const Readout& readout,
                   StoredType type = StoredType::kF32);

inline constexpr int kMostHiddenUnits = 1 << 20;  ///< that a model may have

struct ReadoutShape {
  int inputs = 0, dimensions = 0, hidden_units = 0;
};
/// From the file's content; `source` names it in messages. Throws UserError when it is no such
/// file, has other sizes, other tensors or numbers that are not finite.
Readout parse_readout(const std::string& content, const std::string& source,
                      const ReadoutShape& shape);

}  // namespace barcodemae
