// SPDX-License-Identifier: MIT
// The last step from hidden states to a vector, fitted after training and stored with the model.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "formats/npy.h"

namespace barcodemae {

/// Of a readout for which nobody asked for a number of its own.
inline constexpr int kMostComponents = 512;

/// An affine map of pooled vectors: x → matrix · (x − mean).
class Readout {
 public:
  /// mean [inputs], matrix [dimensions, inputs].
  Readout(std::vector<float> mean, Matrix matrix);

  int inputs() const { return static_cast<int>(mean_.size()); }
  int dimensions() const { return static_cast<int>(matrix_.rows); }
  const std::vector<float>& mean() const { return mean_; }
  const Matrix& matrix() const { return matrix_; }

  /// `result` [dimensions] of `vector` [inputs]. Sums are in double precision, in the order of the
  /// inputs, so that the bits depend on this vector alone.
  void apply(std::span<const float> vector, std::span<float> result) const;

 private:
  std::vector<float> mean_;
  Matrix matrix_;
  std::vector<float> columns_;  // of the matrix, one after the other: [inputs, dimensions]
};

/// readout.safetensors: "readout.mean" [inputs] and "readout.matrix" [dimensions, inputs], float32.
void write_readout(const std::filesystem::path& path, const Readout& readout);
/// From the file's content; `source` names it in messages. Throws UserError when it is no such
/// file, has other sizes, other tensors or numbers that are not finite.
Readout parse_readout(const std::string& content, const std::string& source, int inputs,
                      int dimensions);

}  // namespace barcodemae
