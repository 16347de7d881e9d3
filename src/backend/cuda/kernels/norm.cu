// SPDX-License-Identifier: MIT
// Lane l of a row's warp has channels 8l … 8l + 7, 8(l + 32) … and so on: what dropout names by one
// number. A row stays in registers from its first load to its last store.
#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/norm.h"

namespace barcodemae::cuda {
namespace {

constexpr int kForwardWarps = 4;
constexpr int kBackwardWarps = 8;
constexpr int kSums = 3;

struct Lane {
  int lane = 0, warp = 0;
  __device__ Lane() : lane(threadIdx.x % kWarp), warp(threadIdx.x / kWarp) {}
  /// The eight channels of its j-th turn are 8 · block(j) ….
  __device__ int block(int j) const { return lane + j * kWarp; }
};

struct Moments {
  float mean, rstd;
};

/// Of the values of a whole row; those beyond the width are 0 in v.
template <int kTurns>
__device__ Moments moments(const float (&v)[kTurns][8], const Lane& lane, int blocks,
                           float epsilon) {
  float sum = 0;
#pragma unroll
  for (int j = 0; j < kTurns; ++j) {
#pragma unroll
    for (int i = 0; i < 8; ++i) sum += v[j][i];
  }
  const auto width = static_cast<float>(8 * blocks);
  const float mean = warp_sum(sum) / width;
  float squares = 0;
#pragma unroll
  for (int j = 0; j < kTurns; ++j) {
    if (lane.block(j) >= blocks) continue;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const float centred = v[j][i] - mean;
      squares += centred * centred;
    }
  }
  return {mean, 1 / sqrtf(warp_sum(squares) / width + epsilon)};
}

__device__ void keep(const Norm& norm, const Lane& lane, std::int64_t row, const Moments& of) {
  if (norm.mean == nullptr || lane.lane != 0) return;
  norm.mean[row] = of.mean;
  norm.rstd[row] = of.rstd;
}

/// v becomes LN of it.
__device__ void normalise8(float (&v)[8], const Norm& norm, int block, const Moments& of) {
  float weight[8], bias[8];
  load8(weight, norm.weight + 8 * block);
  load8(bias, norm.bias + 8 * block);
#pragma unroll
  for (int i = 0; i < 8; ++i) v[i] = (v[i] - of.mean) * of.rstd * weight[i] + bias[i];
}

struct Name {
  std::uint32_t record = 0, position = 0;
};

__device__ Name name_of(const RowNames& names, int row) {
  return {static_cast<std::uint32_t>(names.records[sequence_of_row(names, row)]),
          static_cast<std::uint32_t>(names.positions[row])};
}

template <typename T, int kTurns>
__global__ void __launch_bounds__(kForwardWarps* kWarp)
    residual_forward_kernel(Norm norm, ResidualForward residual) {
  const Lane lane;
  const std::int64_t row = std::int64_t{blockIdx.x} * kForwardWarps + lane.warp;
  if (row >= norm.rows) return;
  const int blocks = static_cast<int>(norm.width / 8);
  Name name;
  if (norm.dropout.threshold > 0) name = name_of(norm.names, static_cast<int>(row));
  const T* x = static_cast<const T*>(residual.x) + row * norm.width;
  T* sum = static_cast<T*>(residual.sum) + row * norm.width;
  T* y = static_cast<T*>(residual.y) + row * norm.width;
  float v[kTurns][8];
#pragma unroll
  for (int j = 0; j < kTurns; ++j) {
    const int block = lane.block(j);
#pragma unroll
    for (int i = 0; i < 8; ++i) v[j][i] = 0;
    if (block >= blocks) continue;
    float straight[8];
    load8(straight, x + 8 * block);
    load8(v[j], sum + 8 * block);
    drop8(v[j], norm.dropout, name.record, name.position, static_cast<std::uint32_t>(block));
#pragma unroll
    for (int i = 0; i < 8; ++i) v[j][i] = rounded<T>(v[j][i] + straight[i]);
    store8(sum + 8 * block, v[j]);
  }
  const Moments of = moments(v, lane, blocks, norm.epsilon);
  keep(norm, lane, row, of);
#pragma unroll
  for (int j = 0; j < kTurns; ++j) {
    const int block = lane.block(j);
    if (block >= blocks) continue;
    normalise8(v[j], norm, block, of);
    store8(y + 8 * block, v[j]);
  }
}

template <typename T, int kTurns>
__global__ void __launch_bounds__(kForwardWarps* kWarp)
    embed_forward_kernel(Norm norm, EmbedForward embed) {
  const Lane lane;
  const std::int64_t row = std::int64_t{blockIdx.x} * kForwardWarps + lane.warp;
  if (row >= norm.rows) return;
  const int blocks = static_cast<int>(norm.width / 8);
  const std::int64_t place = norm.names.positions[row];
  Name name;
  if (norm.dropout.threshold > 0) name = name_of(norm.names, static_cast<int>(row));
  T* y = static_cast<T*>(embed.y) + row * norm.width;
  float v[kTurns][8];
#pragma unroll
  for (int j = 0; j < kTurns; ++j) {
    const int block = lane.block(j);
#pragma unroll
    for (int i = 0; i < 8; ++i) v[j][i] = 0;
    if (block >= blocks) continue;
    if (embed.ids != nullptr) {
      load8(v[j], embed.word + embed.ids[row] * norm.width + 8 * block);
    } else {
      load8(v[j], static_cast<const T*>(embed.rows) + row * norm.width + 8 * block);
    }
    float position[8], type[8];
    load8(position, embed.position + place * norm.width + 8 * block);
    load8(type, embed.token_type + 8 * block);
#pragma unroll
    for (int i = 0; i < 8; ++i) v[j][i] = rounded<T>(v[j][i] + position[i] + type[i]);
    if (embed.sum != nullptr) {
      store8(static_cast<T*>(embed.sum) + row * norm.width + 8 * block, v[j]);
    }
  }
  const Moments of = moments(v, lane, blocks, norm.epsilon);
  keep(norm, lane, row, of);
#pragma unroll
  for (int j = 0; j < kTurns; ++j) {
    const int block = lane.block(j);
    if (block >= blocks) continue;
    normalise8(v[j], norm, block, of);
    drop8(v[j], norm.dropout, name.record, name.position, static_cast<std::uint32_t>(block));
    store8(y + 8 * block, v[j]);
  }
}

/// One warp's sums of weight, bias and third gradients over its rows.
template <int kTurns>
struct Sums {
  float of[kSums][kTurns][8];

  __device__ Sums() {
#pragma unroll
    for (int s = 0; s < kSums; ++s) {
#pragma unroll
      for (int j = 0; j < kTurns; ++j) {
#pragma unroll
        for (int i = 0; i < 8; ++i) of[s][j][i] = 0;
      }
    }
  }

  /// The block's sums, the warps' ones in turn, to partial[piece].
  __device__ void write(float* partial, const Lane& lane, int blocks) const {
    auto* all = reinterpret_cast<float*>(dynamic_shared);  // [warps, H]
    const int width = 8 * blocks;
    for (int s = 0; s < kSums; ++s) {
#pragma unroll
      for (int j = 0; j < kTurns; ++j) {
        if (lane.block(j) < blocks) store8(all + lane.warp * width + 8 * lane.block(j), of[s][j]);
      }
      __syncthreads();
      for (int column = static_cast<int>(threadIdx.x); column < width;
           column += kBackwardWarps * kWarp) {
        float total = 0;
        for (int warp = 0; warp < kBackwardWarps; ++warp) total += all[warp * width + column];
        partial[s * width + column] = total;
      }
      __syncthreads();
    }
  }
};

/// The gradient of what LN was given, from that of what it returned: dy becomes dsum. Adds to the
/// sums of weight and bias.
template <int kTurns>
__device__ void norm_backward(float (&dy)[kTurns][8], float (&v)[kTurns][8], Sums<kTurns>& sums,
                              const Norm& norm, const Lane& lane, int blocks, std::int64_t row) {
  const float mean = norm.mean[row], rstd = norm.rstd[row];
  float along_one = 0, along_normal = 0;
#pragma unroll
  for (int j = 0; j < kTurns; ++j) {
    if (lane.block(j) >= blocks) continue;
    float weight[8];
    load8(weight, norm.weight + 8 * lane.block(j));
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const float normal = (v[j][i] - mean) * rstd;
      sums.of[0][j][i] += dy[j][i] * normal;
      sums.of[1][j][i] += dy[j][i];
      v[j][i] = normal;
      dy[j][i] *= weight[i];
      along_one += dy[j][i];
      along_normal += dy[j][i] * normal;
    }
  }
  const auto width = static_cast<float>(8 * blocks);
  along_one = warp_sum(along_one) / width;
  along_normal = warp_sum(along_normal) / width;
#pragma unroll
  for (int j = 0; j < kTurns; ++j) {
#pragma unroll
    for (int i = 0; i < 8; ++i) dy[j][i] = rstd * (dy[j][i] - along_one - v[j][i] * along_normal);
  }
}

template <typename T, int kTurns>
__global__ void __launch_bounds__(kBackwardWarps* kWarp)
    residual_backward_kernel(Norm norm, ResidualBackward residual) {
  const Lane lane;
  const int blocks = static_cast<int>(norm.width / 8);
  Sums<kTurns> sums;
  const std::int64_t first = std::int64_t{blockIdx.x} * kNormPieceRows;
  for (std::int64_t row = first + lane.warp; row < first + kNormPieceRows && row < norm.rows;
       row += kBackwardWarps) {
    float d[kTurns][8] = {}, v[kTurns][8] = {};
#pragma unroll
    for (int j = 0; j < kTurns; ++j) {
      if (lane.block(j) >= blocks) continue;
      const std::int64_t place = row * norm.width + 8 * lane.block(j);
      load8(d[j], static_cast<const T*>(residual.dy) + place);
      load8(v[j], static_cast<const T*>(residual.sum) + place);
    }
    norm_backward(d, v, sums, norm, lane, blocks, row);
    Name name;
    if (norm.dropout.threshold > 0) name = name_of(norm.names, static_cast<int>(row));
#pragma unroll
    for (int j = 0; j < kTurns; ++j) {
      const int block = lane.block(j);
      if (block >= blocks) continue;
      const std::int64_t place = row * norm.width + 8 * block;
      store8(static_cast<T*>(residual.dsum) + place, d[j]);
      if (residual.dproduct != nullptr) {
        drop8(d[j], norm.dropout, name.record, name.position, static_cast<std::uint32_t>(block));
        store8(static_cast<T*>(residual.dproduct) + place, d[j]);
      }
#pragma unroll
      for (int i = 0; i < 8; ++i) sums.of[2][j][i] += rounded<T>(d[j][i]);
    }
  }
  sums.write(residual.partial + std::int64_t{blockIdx.x} * kSums * norm.width, lane, blocks);
}

template <typename T, int kTurns>
__global__ void __launch_bounds__(kBackwardWarps* kWarp)
    embed_backward_kernel(Norm norm, EmbedBackward embed) {
  const Lane lane;
  const int blocks = static_cast<int>(norm.width / 8);
  Sums<kTurns> sums;
  const std::int64_t first = std::int64_t{blockIdx.x} * kNormPieceRows;
  for (std::int64_t row = first + lane.warp; row < first + kNormPieceRows && row < norm.rows;
       row += kBackwardWarps) {
    float d[kTurns][8] = {}, v[kTurns][8] = {};
    Name name;
    if (norm.dropout.threshold > 0) name = name_of(norm.names, static_cast<int>(row));
#pragma unroll
    for (int j = 0; j < kTurns; ++j) {
      const int block = lane.block(j);
      if (block >= blocks) continue;
      const std::int64_t place = row * norm.width + 8 * block;
      load8(d[j], static_cast<const T*>(embed.dy) + place);
      drop8(d[j], norm.dropout, name.record, name.position, static_cast<std::uint32_t>(block));
      load8(v[j], static_cast<const T*>(embed.sum) + place);
    }
    norm_backward(d, v, sums, norm, lane, blocks, row);
#pragma unroll
    for (int j = 0; j < kTurns; ++j) {
      const int block = lane.block(j);
      if (block >= blocks) continue;
      const std::int64_t place = row * norm.width + 8 * block;
      store8(embed.dsum + place, d[j]);
#pragma unroll
      for (int i = 0; i < 8; ++i) sums.of[2][j][i] += d[j][i];
      if (embed.drows == nullptr) continue;
      T* drows = static_cast<T*>(embed.drows) + place;
      if (embed.accumulate) {
        float before[8];
        load8(before, drows);
#pragma unroll
        for (int i = 0; i < 8; ++i) d[j][i] += before[i];
      }
      store8(drows, d[j]);
    }
  }
  sums.write(embed.partial + std::int64_t{blockIdx.x} * kSums * norm.width, lane, blocks);
}

/// Calls body<turns of a lane>().
template <typename Body>
void with_turns(std::int64_t width, Body&& body) {
  const auto turns = blocks_for(width, 8 * kWarp);
  if (turns <= 1) {
    body(std::integral_constant<int, 1>{});
  } else if (turns == 2) {
    body(std::integral_constant<int, 2>{});
  } else if (turns == 3) {
    body(std::integral_constant<int, 3>{});
  } else if (turns == 4) {
    body(std::integral_constant<int, 4>{});
  } else {
    body(std::integral_constant<int, 8>{});
  }
}

std::size_t backward_shared(const Norm& norm) {
  return static_cast<std::size_t>(kBackwardWarps * norm.width) * sizeof(float);
}

}  // namespace

void residual_norm_forward(cudaStream_t stream, const Norm& norm, const ResidualForward& residual) {
  with_type(norm.type, [&]<typename T>(T) {
    with_turns(norm.width, [&](auto turns) {
      launch(residual_forward_kernel<T, decltype(turns)::value>,
             blocks_for(norm.rows, kForwardWarps), kForwardWarps * kWarp, 0, stream, norm,
             residual);
    });
  });
}

void residual_norm_backward(cudaStream_t stream, const Norm& norm,
                            const ResidualBackward& residual) {
  with_type(norm.type, [&]<typename T>(T) {
    with_turns(norm.width, [&](auto turns) {
      launch(residual_backward_kernel<T, decltype(turns)::value>,
             blocks_for(norm.rows, kNormPieceRows), kBackwardWarps * kWarp, backward_shared(norm),
             stream, norm, residual);
    });
  });
}

void embed_forward(cudaStream_t stream, const Norm& norm, const EmbedForward& embed) {
  with_type(norm.type, [&]<typename T>(T) {
    with_turns(norm.width, [&](auto turns) {
      launch(embed_forward_kernel<T, decltype(turns)::value>, blocks_for(norm.rows, kForwardWarps),
             kForwardWarps * kWarp, 0, stream, norm, embed);
    });
  });
}

void embed_backward(cudaStream_t stream, const Norm& norm, const EmbedBackward& embed) {
  with_type(norm.type, [&]<typename T>(T) {
    with_turns(norm.width, [&](auto turns) {
      launch(embed_backward_kernel<T, decltype(turns)::value>,
             blocks_for(norm.rows, kNormPieceRows), kBackwardWarps * kWarp, backward_shared(norm),
             stream, norm, embed);
    });
  });
}

}  // namespace barcodemae::cuda
