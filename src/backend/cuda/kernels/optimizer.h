// SPDX-License-Identifier: MIT
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace barcodemae::cuda {

/// AdamW's numbers for one parameter.
struct AdamWEntry {
  float decay = 1;      ///< 1 − rate · weight decay
  float step_size = 0;  ///< rate / bias correction 1
  std::int32_t frozen = 0;
};

/// A run of elements of one parameter: one block's work.
struct AdamWPiece {
  std::int64_t first = 0;
  std::int32_t count = 0;
  std::int32_t entry = 0;
};
constexpr std::int64_t kAdamWPiece = 4096;

struct AdamW {
  float *value = nullptr, *gradient = nullptr, *first_moment = nullptr, *second_moment = nullptr;
  __nv_bfloat16* copy = nullptr;  ///< of the values; null: none
  const AdamWPiece* pieces = nullptr;
  const AdamWEntry* entries = nullptr;
  std::int64_t piece_count = 0;
  float gradient_scale = 1, beta1 = 0, one_minus_beta1 = 1, beta2 = 0, one_minus_beta2 = 1;
  float epsilon = 0, inverse_root = 1;  ///< 1 / √(bias correction 2)
};
/// One step; gradients become 0.
void adamw(cudaStream_t stream, const AdamW& step);

constexpr std::int64_t kSquaresPiece = std::int64_t{1} << 16;
/// sum[0] = Σ x², in double; `partial` of ⌈count / kSquaresPiece⌉ numbers.
void sum_of_squares(cudaStream_t stream, double* sum, double* partial, const float* x,
                    std::int64_t count);

/// y[i] = x[i] in bfloat16.
void narrow(cudaStream_t stream, __nv_bfloat16* y, const float* x, std::int64_t count);

}  // namespace barcodemae::cuda
