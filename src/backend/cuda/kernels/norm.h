// SPDX-License-Identifier: MIT
// Layer normalisation with what stands before and after it in BERT's blocks, a warp to a row.
// Widths are multiples of 8, up to kWidestNorm.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "backend/cuda/kernels/names.h"
#include "tensor/view.h"

namespace barcodemae::cuda {

constexpr std::int64_t kWidestNorm = 2048;
/// Rows whose parameter gradients are added up by one block: partial sums have a row for each.
constexpr std::int64_t kNormPieceRows = 128;

struct Norm {
  DType type = DType::kFloat32;  ///< of activations
  std::int64_t rows = 0, width = 0;
  const float* weight = nullptr;  ///< [H]
  const float* bias = nullptr;    ///< [H]
  float epsilon = 0;
  float* mean = nullptr;  ///< [T]; null in forward: not kept
  float* rstd = nullptr;  ///< [T]
  RowNames names;
  DropoutStream dropout;
};

/// What is normalised after a sub-layer: sum = x + dropout(product), y = LN(sum). All [T, H].
struct ResidualForward {
  void* y = nullptr;
  void* sum = nullptr;  ///< holds the product at first
  const void* x = nullptr;
};
void residual_norm_forward(cudaStream_t stream, const Norm& norm, const ResidualForward& residual);

struct ResidualBackward {
  void* dsum = nullptr;
  void* dproduct = nullptr;  ///< dropout(dsum); null: the same as dsum, without dropout
  const void* dy = nullptr;
  const void* sum = nullptr;
  /// [pieces, 3, H]: of norm weight, norm bias, and dproduct's column sums (the product's bias).
  float* partial = nullptr;
};
void residual_norm_backward(cudaStream_t stream, const Norm& norm,
                            const ResidualBackward& residual);

/// sum = (word[id] or rows) + position[p] + type[0], y = dropout(LN(sum)).
struct EmbedForward {
  void* y = nullptr;
  void* sum = nullptr;                ///< null: not kept
  const std::int32_t* ids = nullptr;  ///< [T]; null: rows are given
  const void* rows = nullptr;         ///< [T, H]
  const float* word = nullptr;        ///< [V, H]
  const float* position = nullptr;    ///< [P, H]
  const float* token_type = nullptr;  ///< [H]
};
void embed_forward(cudaStream_t stream, const Norm& norm, const EmbedForward& embed);

struct EmbedBackward {
  float* dsum = nullptr;    ///< [T, H] float32, for the tables
  void* drows = nullptr;    ///< the same in the activations' type; null: not wanted
  bool accumulate = false;  ///< onto drows
  const void* dy = nullptr;
  const void* sum = nullptr;
  float* partial = nullptr;  ///< [pieces, 3, H]: of norm weight, norm bias, dsum's column sums
};
void embed_backward(cudaStream_t stream, const Norm& norm, const EmbedBackward& embed);

}  // namespace barcodemae::cuda
