// SPDX-License-Identifier: MIT
#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/gelu.h"

namespace barcodemae::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr float kInverseRoot2 = 0.70710678118654752f;
constexpr float kInverseRoot2Pi = 0.39894228040143268f;

/// Φ of the standard normal distribution.
__device__ float distribution(float z) { return 0.5f * (1 + erff(z * kInverseRoot2)); }

template <typename T>
__global__ void forward_kernel(T* y, const T* x, std::int64_t eighths) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= eighths) return;
  float v[8];
  load8(v, x + 8 * i);
#pragma unroll
  for (int j = 0; j < 8; ++j) v[j] *= distribution(v[j]);
  store8(y + 8 * i, v);
}

/// A block has kGeluPieceRows rows of 256 columns, eight to a lane; its warps take rows in turn.
template <typename T>
__global__ void backward_kernel(T* d, const T* x, std::int64_t rows, std::int64_t cols,
                                float* partial) {
  auto* all = reinterpret_cast<float*>(dynamic_shared);  // [warps, 256]
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const std::int64_t column = std::int64_t{blockIdx.y} * 8 * kWarp + 8 * lane;
  const std::int64_t first = std::int64_t{blockIdx.x} * kGeluPieceRows;
  float sum[8] = {};
  if (column < cols) {
    for (std::int64_t row = first + warp; row < first + kGeluPieceRows && row < rows;
         row += kWarps) {
      float gradient[8], z[8];
      load8(gradient, d + row * cols + column);
      load8(z, x + row * cols + column);
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const float slope = distribution(z[i]) + z[i] * kInverseRoot2Pi * expf(-0.5f * z[i] * z[i]);
        gradient[i] = rounded<T>(gradient[i] * slope);
        sum[i] += gradient[i];
      }
      store8(d + row * cols + column, gradient);
    }
  }
  store8(all + warp * 8 * kWarp + 8 * lane, sum);
  __syncthreads();
  const std::int64_t own = std::int64_t{blockIdx.y} * 8 * kWarp + threadIdx.x;
  if (own >= cols) return;
  float total = 0;
  for (int other = 0; other < kWarps; ++other) total += all[other * 8 * kWarp + threadIdx.x];
  partial[blockIdx.x * cols + own] = total;
}

}  // namespace

void gelu_forward(cudaStream_t stream, View y, View x) {
  with_type(y.dtype, [&]<typename T>(T) {
    launch(forward_kernel<T>, blocks_for(y.size() / 8, kThreads), kThreads, 0, stream,
           static_cast<T*>(y.data), static_cast<const T*>(x.data), y.size() / 8);
  });
}

void gelu_backward(cudaStream_t stream, View d, View x, float* partial) {
  with_type(d.dtype, [&]<typename T>(T) {
    launch(backward_kernel<T>,
           dim3(blocks_for(d.rows, kGeluPieceRows), blocks_for(d.cols, 8 * kWarp)), kThreads,
           kWarps * 8 * kWarp * sizeof(float), stream, static_cast<T*>(d.data),
           static_cast<const T*>(x.data), d.rows, d.cols, partial);
  });
}

}  // namespace barcodemae::cuda
