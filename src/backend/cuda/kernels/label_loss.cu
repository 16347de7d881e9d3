// SPDX-License-Identifier: MIT
#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/label_loss.h"

namespace barcodemae::cuda {
namespace {

constexpr int kThreads = 128;

// Losses by labels -------------------------------------------------------------------------------

/// A warp for one vector.
__global__ void units_kernel(LabelLossWork work, LabelledVectors v) {
  const std::int64_t row = blockIdx.x;
  const float* x = v.x + row * v.width;
  double squares = 0;
  for (std::int64_t c = threadIdx.x; c < v.width; c += kWarp) {
    squares += static_cast<double>(x[c]) * x[c];
  }
  const double length = sqrt(warp_sum(squares));
  for (std::int64_t c = threadIdx.x; c < v.width; c += kWarp) {
    work.units[row * v.width + c] = length > 0 ? x[c] / length : 0.0;
  }
  if (threadIdx.x == 0) work.lengths[row] = length;
}

/// A warp for one cosine.
__global__ void cosines_kernel(LabelLossWork work, std::int64_t count, std::int64_t width) {
  const double* a = work.units + blockIdx.x * width;
  const double* b = work.units + blockIdx.y * width;
  double sum = 0;
  for (std::int64_t c = threadIdx.x; c < width; c += kWarp) sum += a[c] * b[c];
  sum = warp_sum(sum);
  if (threadIdx.x == 0) work.cosines[blockIdx.x * count + blockIdx.y] = sum;
}

__device__ bool is_candidate(const LabelledVectors& v, std::int64_t anchor, std::int64_t a) {
  if (a == anchor || v.labels[a] < 0) return false;
  return v.groups == nullptr || v.groups[a] < 0 || v.groups[a] != v.groups[anchor];
}

/// The candidate of the largest value, the first of those that are equal; −1: none.
struct Best {
  double value = 0;
  int place = -1;

  __device__ void offer(double other, int at) {
    if (at < 0) return;
    if (place < 0 || other > value || (other == value && at < place)) {
      value = other;
      place = at;
    }
  }
  __device__ void over_warp() {
    for (int distance = kWarp / 2; distance > 0; distance /= 2) {
      const double other = __shfl_xor_sync(kAllLanes, value, distance);
      const int at = __shfl_xor_sync(kAllLanes, place, distance);
      offer(other, at);
    }
  }
};

/// A warp for one anchor: its loss and the derivatives by its cosines.
__global__ void anchors_kernel(LabelLossWork work, LabelledVectors v, LabelLoss options) {
  const int anchor = static_cast<int>(blockIdx.x), count = static_cast<int>(v.count);
  const int lane = static_cast<int>(threadIdx.x);
  const double* cosine = work.cosines + std::int64_t{anchor} * count;
  double* d = work.dcosines + std::int64_t{anchor} * count;
  for (int a = lane; a < count; a += kWarp) d[a] = 0;
  if (lane == 0) {
    work.losses[anchor] = 0;
    work.hits[anchor] = 0;
  }
  if (v.labels[anchor] < 0) return;
  // The farthest of its label and the nearest of another; the nearest of all.
  Best positive, negative, nearest;
  double positives = 0;
  for (int a = lane; a < count; a += kWarp) {
    if (!is_candidate(v, anchor, a)) continue;
    nearest.offer(cosine[a], a);
    if (v.labels[a] == v.labels[anchor]) {
      positives += 1;
      positive.offer(-cosine[a], a);
    } else {
      negative.offer(cosine[a], a);
    }
  }
  positive.over_warp();
  negative.over_warp();
  nearest.over_warp();
  positives = warp_sum(positives);
  if (positive.place < 0 || negative.place < 0) return;
  if (lane == 0) work.hits[anchor] = v.labels[nearest.place] == v.labels[anchor] ? 1 : 0;
  if (options.kind == LabelLoss::Kind::kTriplet) {
    __syncwarp();
    if (lane != 0) return;
    const double violation = negative.value + positive.value + options.margin;
    work.losses[anchor] = fmax(violation, 0.0) + log1p(exp(-fabs(violation)));
    const double slope = 1 / (1 + exp(-violation));
    d[negative.place] = slope;
    d[positive.place] = -slope;
    return;
  }
  double sum = 0, of_positives = 0;
  for (int a = lane; a < count; a += kWarp) {
    if (!is_candidate(v, anchor, a)) continue;
    const double score = (cosine[a] - nearest.value) / options.temperature;
    sum += exp(score);
    if (v.labels[a] == v.labels[anchor]) of_positives += score;
  }
  sum = warp_sum(sum);
  of_positives = warp_sum(of_positives);
  if (lane == 0) work.losses[anchor] = log(sum) - of_positives / positives;
  for (int a = lane; a < count; a += kWarp) {
    if (!is_candidate(v, anchor, a)) continue;
    double slope = exp((cosine[a] - nearest.value) / options.temperature) / sum;
    if (v.labels[a] == v.labels[anchor]) slope -= 1 / positives;
    d[a] = slope / options.temperature;
  }
}

__global__ void sums_kernel(float* loss, const double* losses, const std::int32_t* hits,
                            std::int64_t count, double scale) {
  double sum = 0, hit = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += kWarp) {
    sum += losses[i];
    hit += hits[i];
  }
  sum = warp_sum(sum);
  hit = warp_sum(hit);
  if (threadIdx.x != 0) return;
  loss[0] = static_cast<float>(scale * sum);
  loss[1] = static_cast<float>(hit);
}

/// A block for one vector; thread t has channels t, t + kThreads, ….
__global__ void gradient_kernel(float* dx, bool accumulate, double factor, LabelLossWork work,
                                std::int64_t count, std::int64_t width) {
  auto* du = reinterpret_cast<double*>(dynamic_shared);  // [H], then a sum for each warp
  double* sums = du + width;
  const std::int64_t i = blockIdx.x;
  const double* unit = work.units + i * width;
  double along = 0;
  for (std::int64_t c = threadIdx.x; c < width; c += kThreads) {
    double sum = 0;
    for (std::int64_t j = 0; j < count; ++j) {
      const double slope = work.dcosines[i * count + j] + work.dcosines[j * count + i];
      sum += slope * work.units[j * width + c];
    }
    du[c] = sum;
    along += sum * unit[c];
  }
  along = warp_sum(along);
  if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = along;
  __syncthreads();
  along = 0;
  for (int warp = 0; warp < kThreads / kWarp; ++warp) along += sums[warp];
  // Only what is across the vector turns it.
  const double length = work.lengths[i];
  for (std::int64_t c = threadIdx.x; c < width; c += kThreads) {
    const double gradient = length > 0 ? factor * (du[c] - along * unit[c]) / length : 0.0;
    float& to = dx[i * width + c];
    to = static_cast<float>(gradient + (accumulate ? to : 0.0f));
  }
}

// Losses of pairs --------------------------------------------------------------------------------

/// A block for one pair, a warp for each inner channel in turn.
__global__ void pairs_kernel(PairWork work, PairNetwork network) {
  auto* sums = reinterpret_cast<double*>(dynamic_shared);  // [warps]
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const std::int64_t pair = blockIdx.x, width = network.width;
  const float* first = network.x + network.pairs[3 * pair] * width;
  const float* second = network.x + network.pairs[3 * pair + 1] * width;
  double* hidden = work.hidden + pair * network.inner;
  double logit = 0;
  for (std::int64_t h = warp; h < network.inner; h += kThreads / kWarp) {
    const float* weight = network.in_weight + h * 2 * width;
    double sum = 0;
    for (std::int64_t c = lane; c < width; c += kWarp) {
      sum += static_cast<double>(weight[c]) * first[c] +
             static_cast<double>(weight[width + c]) * second[c];
    }
    sum = fmax(warp_sum(sum) + network.in_bias[h], 0.0);
    if (lane == 0) hidden[h] = sum;
    logit += sum * network.out_weight[h];
  }
  if (lane == 0) sums[warp] = logit;
  __syncthreads();
  if (threadIdx.x != 0) return;
  logit = network.out_bias[0];
  for (int other = 0; other < kThreads / kWarp; ++other) logit += sums[other];
  const bool same = network.pairs[3 * pair + 2] != 0;
  const double wrong = same ? -logit : logit;
  work.losses[pair] = fmax(wrong, 0.0) + log1p(exp(-fabs(wrong)));
  work.hits[pair] = wrong < 0 ? 1 : 0;
  work.slopes[pair] = 1 / (1 + exp(-logit)) - (same ? 1 : 0);
}

/// The derivative by an inner channel before its ReLU.
__device__ double dinner(const PairWork& work, const PairNetwork& network, std::int64_t pair,
                         std::int64_t h) {
  const bool open = work.hidden[pair * network.inner + h] > 0;
  return open ? work.slopes[pair] * network.out_weight[h] : 0.0;
}

/// A thread for one element of the first matrix's gradient, and, in its column 0, of the others of
/// that inner channel.
__global__ void pair_weights_kernel(PairGradients gradients, double factor, PairWork work,
                                    PairNetwork network) {
  const std::int64_t h = blockIdx.y, width = network.width;
  const std::int64_t column = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (column >= 2 * width) return;
  double weight = 0, bias = 0, out = 0, out_bias = 0;
  for (std::int64_t pair = 0; pair < network.count; ++pair) {
    const double d = dinner(work, network, pair, h);
    const std::int64_t row = network.pairs[3 * pair + (column < width ? 0 : 1)];
    weight += d * network.x[row * width + column % width];
    bias += d;
    out += work.slopes[pair] * work.hidden[pair * network.inner + h];
    out_bias += work.slopes[pair];
  }
  const auto add = [&](float* to, std::int64_t place, double sum) {
    if (to != nullptr) to[place] = static_cast<float>(to[place] + factor * sum);
  };
  add(gradients.in_weight, h * 2 * width + column, weight);
  if (column != 0) return;
  add(gradients.in_bias, h, bias);
  add(gradients.out_weight, h, out);
  if (h == 0) add(gradients.out_bias, 0, out_bias);
}

/// A thread for one channel of one pair's input.
__global__ void pair_inputs_kernel(PairWork work, PairNetwork network) {
  const std::int64_t pair = blockIdx.y, width = network.width;
  const std::int64_t column = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (column >= 2 * width) return;
  double sum = 0;
  for (std::int64_t h = 0; h < network.inner; ++h) {
    sum += dinner(work, network, pair, h) * network.in_weight[h * 2 * width + column];
  }
  work.dinput[pair * 2 * width + column] = sum;
}

/// A thread for one channel of one vector: the pairs in turn.
__global__ void pair_dx_kernel(PairGradients gradients, double factor, PairWork work,
                               PairNetwork network) {
  const std::int64_t row = blockIdx.x, width = network.width;
  const std::int64_t column = std::int64_t{blockIdx.y} * kThreads + threadIdx.x;
  if (column >= width) return;
  double sum = 0;
  for (std::int64_t pair = 0; pair < network.count; ++pair) {
    const double* input = work.dinput + pair * 2 * width;
    if (network.pairs[3 * pair] == row) sum += input[column];
    if (network.pairs[3 * pair + 1] == row) sum += input[width + column];
  }
  float& to = gradients.dx[row * width + column];
  to = static_cast<float>(factor * sum + (gradients.accumulate ? to : 0.0f));
}

unsigned grid(std::int64_t count) { return static_cast<unsigned>(count); }

}  // namespace

void label_loss(cudaStream_t stream, const LabelLossWork& work, const LabelledVectors& vectors,
                const LabelLoss& options) {
  launch(units_kernel, grid(vectors.count), kWarp, 0, stream, work, vectors);
  launch(cosines_kernel, dim3(grid(vectors.count), grid(vectors.count)), kWarp, 0, stream, work,
         vectors.count, vectors.width);
  launch(anchors_kernel, grid(vectors.count), kWarp, 0, stream, work, vectors, options);
}

void label_loss_sums(cudaStream_t stream, float* loss, const double* losses,
                     const std::int32_t* hits, std::int64_t count, double scale) {
  launch(sums_kernel, 1, kWarp, 0, stream, loss, losses, hits, count, scale);
}

void label_loss_gradient(cudaStream_t stream, float* dx, bool accumulate, double factor,
                         const LabelLossWork& work, std::int64_t count, std::int64_t width) {
  const std::size_t shared = (static_cast<std::size_t>(width) + kThreads / kWarp) * sizeof(double);
  launch(gradient_kernel, grid(count), kThreads, shared, stream, dx, accumulate, factor, work,
         count, width);
}

void pair_loss(cudaStream_t stream, const PairWork& work, const PairNetwork& network) {
  launch(pairs_kernel, grid(network.count), kThreads, kThreads / kWarp * sizeof(double), stream,
         work, network);
}

void pair_loss_gradients(cudaStream_t stream, const PairGradients& gradients, double factor,
                         const PairWork& work, const PairNetwork& network) {
  const unsigned columns = blocks_for(2 * network.width, kThreads);
  launch(pair_weights_kernel, dim3(columns, grid(network.inner)), kThreads, 0, stream, gradients,
         factor, work, network);
  if (gradients.dx == nullptr) return;
  launch(pair_inputs_kernel, dim3(columns, grid(network.count)), kThreads, 0, stream, work,
         network);
  launch(pair_dx_kernel, dim3(grid(gradients.vectors), blocks_for(network.width, kThreads)),
         kThreads, 0, stream, gradients, factor, work, network);
}

}  // namespace barcodemae::cuda
