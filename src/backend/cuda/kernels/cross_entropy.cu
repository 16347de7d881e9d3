// SPDX-License-Identifier: MIT
#include "backend/cuda/kernels/cross_entropy.h"
#include "backend/cuda/kernels/device.cuh"

namespace barcodemae::cuda {
namespace {

/// The same number in all threads of a block: first over each warp, then over the warps in order.
template <int kThreads, typename Number, typename OverWarp, typename Combine>
__device__ Number over_block(Number own, const OverWarp& over_warp, const Combine& combine) {
  own = over_warp(own);
  if constexpr (kThreads == kWarp) {
    return own;
  } else {
    auto* all = reinterpret_cast<Number*>(dynamic_shared);
    __syncthreads();  // the last call's numbers have been read
    if (threadIdx.x % kWarp == 0) all[threadIdx.x / kWarp] = own;
    __syncthreads();
    Number result = all[0];
    for (int warp = 1; warp < kThreads / kWarp; ++warp) result = combine(result, all[warp]);
    return result;
  }
}

template <int kThreads, typename Number>
__device__ Number block_sum(Number own) {
  return over_block<kThreads>(
      own, [](Number value) { return warp_sum(value); }, [](Number a, Number b) { return a + b; });
}

/// One block for one softmax.
template <typename T, int kThreads>
__global__ void rows_kernel(CrossEntropyRows r) {
  const std::int64_t row = blockIdx.x;
  const int group = static_cast<int>(blockIdx.y), thread = static_cast<int>(threadIdx.x);
  const int first = group * r.classes, width = r.groups * r.classes;
  float* logits = r.logits + row * r.stride + first;
  const std::int32_t target = r.targets[row * r.groups + group];
  const float* site =
      r.site == nullptr ? nullptr : r.site + std::int64_t{r.positions[row]} * width + first;
  const auto logit = [&](int c) {
    return logits[c] + r.bias[first + c] + (site == nullptr ? 0.0f : site[c]);
  };
  const float of_target = logit(target);
  __syncthreads();  // it is read before its thread writes it
  float largest = -INFINITY, expected = 0, beaten = 0;
  for (int c = thread; c < r.classes; c += kThreads) {
    const float value = logit(c);
    logits[c] = value;
    largest = fmaxf(largest, value);
    if (value > of_target || (value == of_target && c < target)) beaten = 1;
    if (r.soft != nullptr) expected += r.soft[std::int64_t{target} * r.classes + c] * value;
  }
  largest = over_block<kThreads>(
      largest, [](float value) { return warp_max(value); },
      [](float a, float b) { return fmaxf(a, b); });
  float others = 0;
  for (int c = thread; c < r.classes; c += kThreads) {
    if (c != target) others += expf(logits[c] - largest);
  }
  others = block_sum<kThreads>(others);
  const float sum = others + expf(of_target - largest);
  beaten = block_sum<kThreads>(beaten);
  expected = r.soft != nullptr ? block_sum<kThreads>(expected) : of_target;
  if (thread == 0) {
    // The loss of a sure prediction is the small share of the others.
    const float log_sum = of_target == largest ? log1pf(others) : logf(sum);
    r.losses[row * r.groups + group] = largest - expected + log_sum;
    r.misses[row * r.groups + group] = beaten > 0 || isnan(sum) ? 1 : 0;
  }
  if (r.dlogits == nullptr) return;
  T* dlogits = static_cast<T*>(r.dlogits) + row * r.stride + first;
  const float share = 1 / sum;
  for (int c = thread; c < r.classes; c += kThreads) {
    const float on_target = r.soft != nullptr ? r.soft[std::int64_t{target} * r.classes + c]
                            : c == target     ? 1.0f
                                              : 0.0f;
    dlogits[c] = from_float<T>(r.scale * (expf(logits[c] - largest) * share - on_target));
  }
  if (group != r.groups - 1) return;
  for (std::int64_t c = first + r.classes + thread; c < r.stride; c += kThreads) {
    static_cast<T*>(r.dlogits)[row * r.stride + c] = from_float<T>(0);
  }
}

constexpr int kSumThreads = 1024;

__global__ void sums_kernel(float* loss, const float* losses, const std::int32_t* misses,
                            std::int64_t rows, int groups, double scale) {
  double sum = 0, hits = 0;
  for (std::int64_t row = threadIdx.x; row < rows; row += kSumThreads) {
    bool missed = false;
    for (int group = 0; group < groups; ++group) {
      sum += losses[row * groups + group];
      missed = missed || misses[row * groups + group] != 0;
    }
    hits += missed ? 0 : 1;
  }
  sum = block_sum<kSumThreads>(sum);
  hits = block_sum<kSumThreads>(hits);
  if (threadIdx.x != 0) return;
  loss[0] = static_cast<float>(scale * sum);
  loss[1] = static_cast<float>(hits);
}

template <typename T, int kThreads>
void launch_rows(cudaStream_t stream, const CrossEntropyRows& rows) {
  launch(rows_kernel<T, kThreads>,
         dim3(static_cast<unsigned>(rows.rows), static_cast<unsigned>(rows.groups)), kThreads,
         kThreads / kWarp * sizeof(float), stream, rows);
}

}  // namespace

void cross_entropy_rows(cudaStream_t stream, const CrossEntropyRows& rows) {
  constexpr int kFewClasses = 256;
  with_type(rows.dlogits_type, [&]<typename T>(T) {
    if (rows.classes <= kFewClasses) {
      launch_rows<T, kWarp>(stream, rows);
    } else {
      launch_rows<T, 256>(stream, rows);
    }
  });
}

void cross_entropy_sums(cudaStream_t stream, float* loss, const float* losses,
                        const std::int32_t* misses, std::int64_t rows, int groups, double scale) {
  launch(sums_kernel, 1, kSumThreads, kSumThreads / kWarp * sizeof(double), stream, loss, losses,
         misses, rows, groups, scale);
}

}  // namespace barcodemae::cuda
