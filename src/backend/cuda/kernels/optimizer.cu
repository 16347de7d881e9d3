// SPDX-License-Identifier: MIT
#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/optimizer.h"

namespace barcodemae::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void adamw_kernel(AdamW a) {
  const AdamWPiece piece = a.pieces[blockIdx.x];
  const AdamWEntry entry = a.entries[piece.entry];
  for (std::int32_t i = static_cast<std::int32_t>(threadIdx.x); i < piece.count; i += kThreads) {
    const std::int64_t place = piece.first + i;
    if (entry.frozen == 0) {
      const float g = a.gradient[place] * a.gradient_scale;
      const float m = a.first_moment[place] + a.one_minus_beta1 * (g - a.first_moment[place]);
      const float v = a.beta2 * a.second_moment[place] + a.one_minus_beta2 * g * g;
      const float value = a.value[place] * entry.decay -
                          entry.step_size * m / (sqrtf(v) * a.inverse_root + a.epsilon);
      a.first_moment[place] = m;
      a.second_moment[place] = v;
      a.value[place] = value;
      if (a.copy != nullptr) a.copy[place] = __float2bfloat16(value);
    }
    a.gradient[place] = 0;
  }
}

/// Σ over the block in a fixed order, for thread 0.
__device__ double block_sum(double own) {
  auto* all = reinterpret_cast<double*>(dynamic_shared);
  own = warp_sum(own);
  if (threadIdx.x % kWarp == 0) all[threadIdx.x / kWarp] = own;
  __syncthreads();
  double sum = 0;
  for (int warp = 0; warp < kThreads / kWarp; ++warp) sum += all[warp];
  return sum;
}

__global__ void squares_kernel(double* partial, const float* x, std::int64_t count) {
  const std::int64_t first = blockIdx.x * kSquaresPiece;
  double sum = 0;
  for (std::int64_t i = first + threadIdx.x; i < first + kSquaresPiece && i < count;
       i += kThreads) {
    sum += static_cast<double>(x[i]) * x[i];
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void sum_kernel(double* sum, const double* partial, std::int64_t count) {
  double own = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += kThreads) own += partial[i];
  own = block_sum(own);
  if (threadIdx.x == 0) *sum = own;
}

__global__ void narrow_kernel(__nv_bfloat16* y, const float* x, std::int64_t count) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < count) y[i] = __float2bfloat16(x[i]);
}

constexpr std::size_t kSumShared = kThreads / kWarp * sizeof(double);

}  // namespace

void adamw(cudaStream_t stream, const AdamW& step) {
  launch(adamw_kernel, static_cast<unsigned>(step.piece_count), kThreads, 0, stream, step);
}

void sum_of_squares(cudaStream_t stream, double* sum, double* partial, const float* x,
                    std::int64_t count) {
  const unsigned pieces = blocks_for(count, kSquaresPiece);
  launch(squares_kernel, pieces, kThreads, kSumShared, stream, partial, x, count);
  launch(sum_kernel, 1, kThreads, kSumShared, stream, sum, partial, std::int64_t{pieces});
}

void narrow(cudaStream_t stream, __nv_bfloat16* y, const float* x, std::int64_t count) {
  launch(narrow_kernel, blocks_for(count, kThreads), kThreads, 0, stream, y, x, count);
}

}  // namespace barcodemae::cuda
