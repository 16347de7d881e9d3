// SPDX-License-Identifier: MIT
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "tensor/view.h"

namespace barcodemae::cuda {

/// Rows of `groups` softmaxes over `classes` logits each.
struct CrossEntropyRows {
  std::int64_t rows = 0;
  int groups = 1, classes = 0;
  float* logits = nullptr;  ///< [rows, stride], without biases; overwritten
  std::int64_t stride = 0;
  const float* bias = nullptr;              ///< [groups · classes]
  const float* site = nullptr;              ///< [P, groups · classes]; null: none
  const std::int32_t* positions = nullptr;  ///< [rows]; where there is a site
  const std::int32_t* targets = nullptr;    ///< [rows, groups]
  const float* soft = nullptr;              ///< [classes, classes]; null: all on the target
  void* dlogits = nullptr;  ///< [rows, stride] scale · (softmax − target); null: not wanted
  DType dlogits_type = DType::kFloat32;
  float scale = 1;
  float* losses = nullptr;         ///< [rows, groups]
  std::int32_t* misses = nullptr;  ///< [rows, groups]: the target is not the first of the largest
};
/// dlogits beyond groups · classes, up to the stride, become 0.
void cross_entropy_rows(cudaStream_t stream, const CrossEntropyRows& rows);

/// loss [2] = {scale · Σ losses, rows without a miss}, summed in double in a fixed order.
void cross_entropy_sums(cudaStream_t stream, float* loss, const float* losses,
                        const std::int32_t* misses, std::int64_t rows, int groups, double scale);

}  // namespace barcodemae::cuda
