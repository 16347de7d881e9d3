// SPDX-License-Identifier: MIT
// gelu(z) = z Φ(z) by erf. cuBLASLt's own epilogues compute the approximation by tanh, which is
// another function: it differs by up to 5e-4.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "tensor/view.h"

namespace barcodemae::cuda {

/// y = gelu(x), of one type and size; a multiple of 8 elements.
void gelu_forward(cudaStream_t stream, View y, View x);

/// Rows that one block of gelu_backward() adds up.
constexpr std::int64_t kGeluPieceRows = 128;
/// d = d ∘ gelu'(x); partial[piece] = Σ of its rows of the new d, float32 [pieces, cols].
void gelu_backward(cudaStream_t stream, View d, View x, float* partial);

}  // namespace barcodemae::cuda
