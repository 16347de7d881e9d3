// SPDX-License-Identifier: MIT
// Losses of pooled vectors and their labels, in double as on `reference`: a row per barcode is
// little beside the tokens' work.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "tensor/backend.h"

namespace barcodemae::cuda {

/// What the kernels of label_loss work with, all on the device.
struct LabelLossWork {
  double* units = nullptr;       ///< [N, H]: the vectors, divided by their lengths
  double* cosines = nullptr;     ///< [N, N]
  double* dcosines = nullptr;    ///< [N, N]: of row i as the anchor
  double* lengths = nullptr;     ///< [N]
  double* losses = nullptr;      ///< [N]
  std::int32_t* hits = nullptr;  ///< [N]
};
struct LabelledVectors {
  const float* x = nullptr;  ///< [N, H]
  std::int64_t count = 0, width = 0;
  const std::int32_t* labels = nullptr;
  const std::int32_t* groups = nullptr;  ///< null: none
};
/// Fills `work`.
void label_loss(cudaStream_t stream, const LabelLossWork& work, const LabelledVectors& vectors,
                const LabelLoss& options);
/// loss [2] = {scale · Σ losses, Σ hits} of `count` numbers each.
void label_loss_sums(cudaStream_t stream, float* loss, const double* losses,
                     const std::int32_t* hits, std::int64_t count, double scale);
/// dx [N, H] = or += factor · the gradient of Σ losses.
void label_loss_gradient(cudaStream_t stream, float* dx, bool accumulate, double factor,
                         const LabelLossWork& work, std::int64_t count, std::int64_t width);

/// The classifier of pairs; F inner channels, P pairs.
struct PairNetwork {
  const float *in_weight = nullptr, *in_bias = nullptr;    ///< [F, 2H], [F]
  const float *out_weight = nullptr, *out_bias = nullptr;  ///< [F], [1]
  std::int64_t inner = 0, width = 0;
  const float* x = nullptr;             ///< [N, H]
  const std::int32_t* pairs = nullptr;  ///< [P, 3]
  std::int64_t count = 0;               ///< P
};
struct PairWork {
  double* hidden = nullptr;      ///< [P, F], after the ReLU
  double* slopes = nullptr;      ///< [P]: dloss/dlogit, without the factor
  double* losses = nullptr;      ///< [P]
  std::int32_t* hits = nullptr;  ///< [P]
  double* dinput = nullptr;      ///< [P, 2H]: of the pair's two vectors; null in forward
};
void pair_loss(cudaStream_t stream, const PairWork& work, const PairNetwork& network);

struct PairGradients {  ///< those that are null are not wanted
  float *in_weight = nullptr, *in_bias = nullptr, *out_weight = nullptr, *out_bias = nullptr;
  float* dx = nullptr;  ///< [N, H]
  std::int64_t vectors = 0;
  bool accumulate = false;  ///< onto dx
};
/// After pair_loss() has filled the same `work`.
void pair_loss_gradients(cudaStream_t stream, const PairGradients& gradients, double factor,
                         const PairWork& work, const PairNetwork& network);

}  // namespace barcodemae::cuda
