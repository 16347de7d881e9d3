// SPDX-License-Identifier: MIT
// Attention on tensor cores: one block of threads for a head of a whole sequence.
#pragma once

#include "backend/cuda/kernels/attention.h"

namespace barcodemae::cuda {

/// Rows of the longest sequence that these kernels take, given type, width and heads; 0: none.
/// Depends on the device: the working set must fit its shared memory.
int attention_whole_limit(const Attention& attention);

/// As attention_forward(), for sequences of up to attention_whole_limit() rows; the rows of longer
/// ones are left alone.
void attention_whole_forward(cudaStream_t stream, void* context, float* log_sum_exp,
                             const Attention& attention);
void attention_whole_backward(cudaStream_t stream, void* dqkv, const void* dcontext,
                              const void* context, const float* log_sum_exp,
                              const Attention& attention);

/// Bytes of shared memory that a block may ask for, on the current device.
int shared_memory_limit();

}  // namespace barcodemae::cuda
