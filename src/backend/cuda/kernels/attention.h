// SPDX-License-Identifier: MIT
// Attention of packed sequences. Short sequences in bfloat16 go to tensor cores
// (attention_whole.cu), all others to plain float32 arithmetic (attention.cu). Which of the two
// depends on a sequence's own length alone, so that its bits do not depend on its batch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "backend/cuda/kernels/names.h"
#include "tensor/view.h"

namespace barcodemae::cuda {

/// Row t of qkv is [query | key | value], each [heads · head size]; the head size is a multiple of
/// 8, up to 256. Scores are scaled by 1/√(head size).
struct Attention {
  DType type = DType::kFloat32;  ///< float32 or bfloat16: of qkv, context and gradients
  std::int64_t rows = 0;         ///< T
  std::int64_t width = 0;        ///< H = heads · head size
  int heads = 1;
  bool causal = false;
  const void* qkv = nullptr;  ///< [T, 3H]
  RowNames names;
  std::int64_t longest = 0;  ///< rows of the longest sequence, up to 2,048
  /// Of the probabilities: the query's position, channel = head · 2048 + the key's row inside its
  /// own sequence.
  DropoutStream dropout;
};

/// context [T, H]; log_sum_exp [heads, T] float32, of the scaled scores; null: not kept.
void attention_forward(cudaStream_t stream, void* context, float* log_sum_exp,
                       const Attention& attention);

/// Bytes that attention_backward() needs; depends on type, rows, width, heads and longest, and
/// grows with the rows.
std::size_t attention_backward_scratch(const Attention& attention);
/// dqkv [T, 3H] is overwritten; context and log_sum_exp as attention_forward() left them.
void attention_backward(cudaStream_t stream, void* dqkv, const void* dcontext, const void* context,
                        const float* log_sum_exp, void* scratch, const Attention& attention);

}  // namespace barcodemae::cuda
