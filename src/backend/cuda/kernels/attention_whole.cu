// SPDX-License-Identifier: MIT
// Attention of short sequences in bfloat16 on tensor cores. A block of threads takes one head of
// one sequence from beginning to end in shared memory; each warp owns 16 rows, as queries and later
// as keys.
//
// Fragments are opaque: which lane holds which element of a product is the hardware's secret. So a
// product of 16 × 16 is stored and read again in a layout of ours, wherever its elements' places
// matter: lane l has row l mod 16 and 8 columns from 8 · (l / 16).
#include <mma.h>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

#include "backend/cuda/kernels/attention_whole.h"
#include "backend/cuda/kernels/device.cuh"

namespace barcodemae::cuda {
namespace {

namespace wmma = nvcuda::wmma;
using bf16 = __nv_bfloat16;

constexpr int kTile = 16;      // rows and columns of a fragment
constexpr int kMostTiles = 8;  // of a sequence
constexpr int kHalf = kTile / 2;

using Left = wmma::fragment<wmma::matrix_a, kTile, kTile, kTile, bf16, wmma::row_major>;
using LeftTransposed = wmma::fragment<wmma::matrix_a, kTile, kTile, kTile, bf16, wmma::col_major>;
using Right = wmma::fragment<wmma::matrix_b, kTile, kTile, kTile, bf16, wmma::row_major>;
using RightTransposed = wmma::fragment<wmma::matrix_b, kTile, kTile, kTile, bf16, wmma::col_major>;
using Product = wmma::fragment<wmma::accumulator, kTile, kTile, kTile, float>;

// Shared memory ---------------------------------------------------------------------------------
// Strides are such that 16 bytes of 8 rows below each other lie in different banks, tiles begin at
// multiples of 256 bytes, and a tile of rows has room for a staged product.

constexpr int kStageStride = kTile + 4;  // floats

/// Elements from row to row of a tile of queries, keys, values or gradients.
constexpr int row_stride(int head_size) { return std::max(head_size, 2 * kTile) + 8; }
constexpr int tile_bytes(int head_size) { return kTile * row_stride(head_size) * 2; }

/// Forward: each warp has tiles of keys and values, and a strip that holds its queries at first,
/// then scores on their way, then its probabilities, then its context on the way out.
constexpr int forward_strip_bytes(int head_size, int tiles) {
  return std::max(tile_bytes(head_size), kTile * (kTile * tiles + 8) * 2);
}
constexpr int forward_bytes(int head_size, int tiles) {
  return tiles * (2 * tile_bytes(head_size) + forward_strip_bytes(head_size, tiles));
}

/// Backward: each warp has two tiles, of keys and values at first, of queries and gradients of the
/// context later, and a strip of its dropped probabilities beside the gradients of its scores, in
/// turn for each tile of keys: together as wide as the float32 product that they are made from.
constexpr int backward_strip_stride(int tiles) { return 2 * kTile * tiles + 8; }
constexpr int backward_strip_bytes(int tiles) { return kTile * backward_strip_stride(tiles) * 2; }
constexpr int backward_bytes(int head_size, int tiles) {
  return tiles * (2 * tile_bytes(head_size) + backward_strip_bytes(tiles));
}

template <typename T>
__device__ __forceinline__ T* shared_at(int bytes) {
  return reinterpret_cast<T*>(dynamic_shared + bytes);
}

// Pieces of the kernels ---------------------------------------------------------------------------

struct Problem {
  const bf16* qkv = nullptr;
  RowNames names;
  DropoutStream dropout;
  std::int64_t rows = 0, width = 0;
  int heads = 1;
  int limit = 0;  // rows of the longest sequence that is ours
  bool causal = false;
  float scale = 1;  // of the scores
};

/// What a warp works on.
struct Place {
  int sequence = 0, head = 0;
  std::int64_t first = 0;  // row where the sequence begins
  int count = 0;           // rows of the sequence
  int tiles = 0;           // of 16 rows
  int warp = 0, lane = 0;
  int live = 0;  // rows of the warp's tile that exist; 0: nothing to do for this warp
};

__device__ __forceinline__ Place place_of_warp(const Problem& problem) {
  Place place;
  place.sequence = static_cast<int>(blockIdx.x) / problem.heads;
  place.head = static_cast<int>(blockIdx.x) % problem.heads;
  place.first = problem.names.offsets[place.sequence];
  place.count = problem.names.offsets[place.sequence + 1] - static_cast<int>(place.first);
  place.tiles = (place.count + kTile - 1) / kTile;
  place.warp = static_cast<int>(threadIdx.x) / kWarp;
  place.lane = static_cast<int>(threadIdx.x) % kWarp;
  const int rows = place.count > problem.limit ? 0 : place.count - place.warp * kTile;
  place.live = min(max(rows, 0), kTile);
  return place;
}

/// The warp's first row in qkv or its gradient; `part` 0: queries, 1: keys, 2: values.
template <typename Pointer>
__device__ __forceinline__ Pointer* qkv_rows(Pointer* qkv, const Problem& problem,
                                             const Place& place, int head_size, int part) {
  return qkv + (place.first + place.warp * kTile) * 3 * problem.width + part * problem.width +
         place.head * head_size;
}

/// The same in context or its gradient.
template <typename Pointer>
__device__ __forceinline__ Pointer* context_rows(Pointer* context, const Problem& problem,
                                                 const Place& place, int head_size) {
  return context + (place.first + place.warp * kTile) * problem.width + place.head * head_size;
}

/// A warp copies 16 rows into shared memory; those from `live` on become 0. Lanes beside each other
/// take 16 bytes each of as many whole rows as a warp can.
template <int kSteps>
__device__ __forceinline__ void load_rows(bf16* to, const bf16* from, std::int64_t from_stride,
                                          int live, int lane) {
  constexpr int kEights = 2 * kSteps;  // of a row
  constexpr int kRows = kWarp / kEights, kPasses = (kTile + kRows - 1) / kRows;
  const int first_row = lane / kEights, channel = lane % kEights * 8;
  const bool busy = first_row < kRows;
  from += first_row * from_stride + channel;
  to += first_row * row_stride(kSteps * kTile) + channel;
  uint4 values[kPasses];  // all on their way before the first is stored
#pragma unroll
  for (int pass = 0; pass < kPasses; ++pass) {
    values[pass] = uint4{0, 0, 0, 0};
    if (busy && first_row + pass * kRows < live) {
      values[pass] = *reinterpret_cast<const uint4*>(from + pass * kRows * from_stride);
    }
  }
#pragma unroll
  for (int pass = 0; pass < kPasses; ++pass) {
    if (busy && first_row + pass * kRows < kTile) {
      *reinterpret_cast<uint4*>(to + pass * kRows * row_stride(kSteps * kTile)) = values[pass];
    }
  }
}

/// product = left · rowsᵀ over the head size: 16 rows with 16 rows.
template <int kSteps>
__device__ __forceinline__ void multiply_transposed(Product& product, const Left (&left)[kSteps],
                                                    const bf16* rows) {
  wmma::fill_fragment(product, 0.0f);
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    RightTransposed right;
    wmma::load_matrix_sync(right, rows + step * kTile, row_stride(kSteps * kTile));
    wmma::mma_sync(product, left[step], right, product);
  }
}

template <int kSteps>
__device__ __forceinline__ void load_left(Left (&left)[kSteps], const bf16* rows) {
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    wmma::load_matrix_sync(left[step], rows + step * kTile, row_stride(kSteps * kTile));
  }
}

/// sums [16, head size] += left [16, 16] · rows [16, head size]
template <int kSteps, typename LeftFragment>
__device__ __forceinline__ void add_product(Product (&sums)[kSteps], const LeftFragment& left,
                                            const bf16* rows) {
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    Right right;
    wmma::load_matrix_sync(right, rows + step * kTile, row_stride(kSteps * kTile));
    wmma::mma_sync(sums[step], left, right, sums[step]);
  }
}

template <int kSteps>
__device__ __forceinline__ void clear(Product (&sums)[kSteps]) {
#pragma unroll
  for (int step = 0; step < kSteps; ++step) wmma::fill_fragment(sums[step], 0.0f);
}

/// A lane's elements of a product, by way of shared memory.
__device__ __forceinline__ void read_product(float (&v)[8], const Product& product, float* stage,
                                             int stride, int lane) {
  wmma::store_matrix_sync(stage, product, static_cast<unsigned>(stride), wmma::mem_row_major);
  __syncwarp();
  load8(v, stage + lane % kTile * stride + lane / kTile * kHalf);
  __syncwarp();
}

/// Writes `live` rows [head size] of sums by way of shared memory. Lanes 2r and 2r + 1 write row r,
/// times their factor: neighbours, so that they fill a sector together.
template <int kSteps>
__device__ __forceinline__ void store_rows(bf16* to, std::int64_t to_stride,
                                           const Product (&sums)[kSteps], float* stage, int live,
                                           int lane, float factor) {
  const int row = lane / 2, half = lane % 2;
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    wmma::store_matrix_sync(stage, sums[step], kStageStride, wmma::mem_row_major);
    __syncwarp();
    float v[8];
    load8(v, stage + row * kStageStride + half * kHalf);
    __syncwarp();
#pragma unroll
    for (int i = 0; i < 8; ++i) v[i] *= factor;
    if (row < live) store8(to + row * to_stride + step * kTile + half * kHalf, v);
  }
}

/// Factors of dropout for 8 keys of one query.
struct QueryDropout {
  const DropoutStream& dropout;
  std::uint32_t record = 0, position = 0, first_block = 0;

  __device__ __forceinline__ QueryDropout(const Problem& problem, const Place& place, int query)
      : dropout(problem.dropout) {
    if (dropout.threshold == 0) return;
    record = static_cast<std::uint32_t>(problem.names.records[place.sequence]);
    position = static_cast<std::uint32_t>(
        problem.names.positions[place.first + min(query, place.count - 1)]);
    first_block = static_cast<std::uint32_t>(place.head) * (2048 / 8);
  }
  __device__ __forceinline__ unsigned kept(int first_key) const {
    if (dropout.threshold == 0) return 0xff;
    return keep_bits(dropout, record, position,
                     first_block + static_cast<std::uint32_t>(first_key) / 8);
  }
  __device__ __forceinline__ float scale() const {
    return dropout.threshold == 0 ? 1.0f : dropout.scale;
  }
};

template <int kSteps>
__global__ void __launch_bounds__(kMostTiles* kWarp, kSteps <= 8 ? 2 : 1)
    forward_kernel(bf16* context, float* log_sum_exp, Problem problem) {
  constexpr int kHeadSize = kSteps * kTile, kElements = tile_bytes(kHeadSize) / 2;
  const Place place = place_of_warp(problem);
  if (place.live == 0) return;
  const int most_tiles = static_cast<int>(blockDim.x) / kWarp;  // of any sequence of this launch
  auto* const keys = shared_at<bf16>(0);                        // of tile t: + 2 · t · kElements
  bf16* const values = keys + kElements;
  bf16* const own_keys = keys + 2 * place.warp * kElements;
  auto* const strip = shared_at<bf16>(most_tiles * 2 * tile_bytes(kHeadSize) +
                                      place.warp * forward_strip_bytes(kHeadSize, most_tiles));
  auto* const stage = reinterpret_cast<float*>(strip);
  const int strip_stride = kTile * most_tiles + 8;

  load_rows<kSteps>(strip, qkv_rows(problem.qkv, problem, place, kHeadSize, 0), 3 * problem.width,
                    place.live, place.lane);
  load_rows<kSteps>(own_keys, qkv_rows(problem.qkv, problem, place, kHeadSize, 1),
                    3 * problem.width, place.live, place.lane);
  load_rows<kSteps>(own_keys + kElements, qkv_rows(problem.qkv, problem, place, kHeadSize, 2),
                    3 * problem.width, place.live, place.lane);
  const int row = place.lane % kTile, half = place.lane / kTile;
  const int query = place.warp * kTile + row;
  const QueryDropout dropout(problem, place, query);
  __syncwarp();
  Left queries[kSteps];
  load_left(queries, strip);
  __syncthreads();

  const int seen = problem.causal ? place.warp + 1 : place.tiles;  // tiles of keys
  float scores[kMostTiles][8];
  float largest = -INFINITY;
#pragma unroll
  for (int tile = 0; tile < kMostTiles; ++tile) {
    if (tile < seen) {
      Product product;
      multiply_transposed(product, queries, keys + 2 * tile * kElements);
      read_product(scores[tile], product, stage, kStageStride, place.lane);
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const int key = tile * kTile + half * kHalf + i;
        const bool live = key < place.count && (!problem.causal || key <= query);
        scores[tile][i] = live ? scores[tile][i] : -INFINITY;
        largest = fmaxf(largest, scores[tile][i]);
      }
    }
  }
  largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, kTile));
  float sum = 0;
#pragma unroll
  for (int tile = 0; tile < kMostTiles; ++tile) {
    if (tile < seen) {
      const int first_key = tile * kTile + half * kHalf;
      const unsigned kept = dropout.kept(first_key);
      float probabilities[8];
#pragma unroll
      for (unsigned i = 0; i < 8; ++i) {
        const float exponential = __expf((scores[tile][i] - largest) * problem.scale);
        sum += exponential;
        probabilities[i] = (kept >> i & 1) != 0 ? exponential : 0.0f;
      }
      store8(strip + row * strip_stride + first_key, probabilities);
    }
  }
  sum += __shfl_xor_sync(kAllLanes, sum, kTile);
  if (log_sum_exp != nullptr && half == 0 && row < place.live) {
    log_sum_exp[place.head * problem.rows + place.first + query] =
        largest * problem.scale + logf(sum);
  }

  __syncwarp();
  Product sums[kSteps];
  clear(sums);
  for (int tile = 0; tile < seen; ++tile) {
    Left probabilities;
    wmma::load_matrix_sync(probabilities, strip + tile * kTile,
                           static_cast<unsigned>(strip_stride));
    add_product(sums, probabilities, values + 2 * tile * kElements);
  }
  __syncwarp();
  // Lanes r and r + 16 have the sum of row r; store_rows() wants that of row lane / 2.
  const float factor = __shfl_sync(kAllLanes, dropout.scale() / sum, place.lane / 2);
  store_rows(context_rows(context, problem, place, kHeadSize), problem.width, sums, stage,
             place.live, place.lane, factor);
}

template <int kSteps>
__global__ void __launch_bounds__(kMostTiles* kWarp, kSteps <= 8 ? 2 : 1)
    backward_kernel(bf16* dqkv, const bf16* dcontext, const bf16* context, const float* log_sum_exp,
                    Problem problem) {
  constexpr int kHeadSize = kSteps * kTile, kElements = tile_bytes(kHeadSize) / 2;
  const Place place = place_of_warp(problem);
  if (place.live == 0) return;
  const int most_tiles = static_cast<int>(blockDim.x) / kWarp;
  const int strip_stride = backward_strip_stride(most_tiles);
  const int strip_elements = kTile * strip_stride;
  auto* const tiles = shared_at<bf16>(0);  // two for each warp, kElements each
  bf16* const own = tiles + 2 * place.warp * kElements;
  auto* const strips = shared_at<bf16>(most_tiles * 2 * tile_bytes(kHeadSize));
  bf16* const strip = strips + place.warp * strip_elements;
  const int row = place.lane % kTile, half = place.lane / kTile;
  const int query = place.warp * kTile + row;
  const int seen = problem.causal ? place.warp + 1 : place.tiles;  // tiles of keys
  const auto load_qkv = [&](bf16* to, int part) {
    load_rows<kSteps>(to, qkv_rows(problem.qkv, problem, place, kHeadSize, part), 3 * problem.width,
                      place.live, place.lane);
  };
  const auto load_gradients = [&](bf16* to) {
    load_rows<kSteps>(to, context_rows(dcontext, problem, place, kHeadSize), problem.width,
                      place.live, place.lane);
  };
  const auto store_gradients = [&](const Product(&sums)[kSteps], bf16* stage, int part) {
    store_rows(qkv_rows(dqkv, problem, place, kHeadSize, part), 3 * problem.width, sums,
               reinterpret_cast<float*>(stage), place.live, place.lane, 1.0f);
  };
  Product sums[kSteps];

  // By queries: probabilities, the gradients of the scores, and dQ.
  {
    Left queries[kSteps], gradients[kSteps];
    load_qkv(own, 0);
    load_gradients(own + kElements);
    __syncwarp();
    load_left(queries, own);
    load_left(gradients, own + kElements);
    float delta = 0;  // Σ over channels of dcontext · context
    if (row < place.live) {
      const bf16* const context_row =
          context_rows(context, problem, place, kHeadSize) + row * problem.width;
#pragma unroll
      for (int step = 0; step < kSteps; ++step) {
        const int channel = step * kTile + half * kHalf;
        float a[8], b[8];
        load8(a, own + kElements + row * row_stride(kHeadSize) + channel);
        load8(b, context_row + channel);
#pragma unroll
        for (int i = 0; i < 8; ++i) delta = fmaf(a[i], b[i], delta);
      }
    }
    delta += __shfl_xor_sync(kAllLanes, delta, kTile);
    __syncwarp();  // queries and gradients have been read
    load_qkv(own, 1);
    load_qkv(own + kElements, 2);
    const QueryDropout dropout(problem, place, query);
    const float saved =
        log_sum_exp[place.head * problem.rows + place.first + min(query, place.count - 1)];
    __syncthreads();
    for (int tile = 0; tile < seen; ++tile) {
      const bf16* const keys = tiles + 2 * tile * kElements;
      Product score_product, gradient_product;
      multiply_transposed(score_product, queries, keys);
      multiply_transposed(gradient_product, gradients, keys + kElements);
      bf16* const place_of_tile = strip + tile * 2 * kTile;
      auto* const stage = reinterpret_cast<float*>(place_of_tile);
      float scores[8], dprobabilities[8];
      read_product(scores, score_product, stage, strip_stride / 2, place.lane);
      read_product(dprobabilities, gradient_product, stage, strip_stride / 2, place.lane);
      const int first_key = tile * kTile + half * kHalf;
      const unsigned kept = dropout.kept(first_key);
      float probabilities[8];  // dropped
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const int key = first_key + i;
        const bool live =
            row < place.live && key < place.count && (!problem.causal || key <= query);
        const float probability = live ? __expf(scores[i] * problem.scale - saved) : 0.0f;
        const float factor = (kept >> i & 1) != 0 ? dropout.scale() : 0.0f;
        probabilities[i] = probability * factor;
        scores[i] = probability * (dprobabilities[i] * factor - delta) * problem.scale;
      }
      bf16* const to = place_of_tile + row * strip_stride + half * kHalf;
      store8(to, probabilities);
      store8(to + kTile, scores);
    }
    __syncwarp();
    clear(sums);
    for (int tile = 0; tile < seen; ++tile) {
      Left dscores;
      wmma::load_matrix_sync(dscores, strip + tile * 2 * kTile + kTile,
                             static_cast<unsigned>(strip_stride));
      add_product(sums, dscores, tiles + 2 * tile * kElements);
    }
    __syncthreads();  // keys and values have been read
    store_gradients(sums, own, 0);
  }

  // By keys: dV, dK. The strips' columns of this warp meet gradients and queries of all others.
  load_qkv(own, 0);
  load_gradients(own + kElements);
  __syncthreads();
  const auto add_columns = [&](int offset_in_strip, int offset_in_tiles) {
    clear(sums);
    for (int tile = problem.causal ? place.warp : 0; tile < place.tiles; ++tile) {
      LeftTransposed left;
      wmma::load_matrix_sync(
          left, strips + tile * strip_elements + place.warp * 2 * kTile + offset_in_strip,
          static_cast<unsigned>(strip_stride));
      add_product(sums, left, tiles + 2 * tile * kElements + offset_in_tiles);
    }
    __syncthreads();  // these tiles have been read
  };
  add_columns(0, kElements);
  store_gradients(sums, own + kElements, 2);
  add_columns(kTile, 0);
  store_gradients(sums, own, 1);
}

// Launching -------------------------------------------------------------------------------------

/// Calls body(std::integral_constant<int, head size / 16>) where there are kernels for it.
template <typename Body>
void with_steps(std::int64_t head_size, Body&& body) {
  const auto try_steps = [&]<int... kSteps>(std::integer_sequence<int, kSteps...>) {
    ((head_size == kSteps * kTile ? body(std::integral_constant<int, kSteps>{}) : void()), ...);
  };
  try_steps(std::integer_sequence<int, 1, 2, 3, 4, 6, 8, 12, 16>{});
}

/// Launches `kernel` with blocks as large as the longest of its sequences asks for.
template <typename Kernel, typename... Arguments>
void launch_whole(Kernel kernel, int (*bytes)(int head_size, int tiles), cudaStream_t stream,
                  const Attention& attention, const Arguments&... arguments) {
  const auto head_size = static_cast<int>(attention.width / attention.heads);
  Problem problem;
  problem.qkv = static_cast<const bf16*>(attention.qkv);
  problem.names = attention.names;
  problem.dropout = attention.dropout;
  problem.rows = attention.rows;
  problem.width = attention.width;
  problem.heads = attention.heads;
  problem.limit = attention_whole_limit(attention);
  problem.causal = attention.causal;
  problem.scale = 1.0f / std::sqrt(static_cast<float>(head_size));
  const std::int64_t longest = std::min<std::int64_t>(attention.longest, problem.limit);
  const auto tiles = static_cast<int>(blocks_for(longest, kTile));
  if (tiles == 0) return;
  launch(kernel, dim3(static_cast<unsigned>(problem.names.sequences * problem.heads)),
         dim3(static_cast<unsigned>(tiles * kWarp)),
         static_cast<std::size_t>(bytes(head_size, tiles)), stream, arguments..., problem);
}

}  // namespace

int shared_memory_limit() {
  static const int limit = [] {
    int device = 0, bytes = 0;
    check(cudaGetDevice(&device));
    check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
    return bytes;
  }();
  return limit;
}

int attention_whole_limit(const Attention& attention) {
  int limit = 0;
  if (attention.type != DType::kBFloat16) return limit;
  const auto head_size = static_cast<int>(attention.width / attention.heads);
  with_steps(head_size, [&](auto) {
    for (int tiles = 1; tiles <= kMostTiles; ++tiles) {
      const int bytes = std::max(forward_bytes(head_size, tiles), backward_bytes(head_size, tiles));
      if (bytes <= shared_memory_limit()) limit = tiles * kTile;
    }
  });
  return limit;
}

void attention_whole_forward(cudaStream_t stream, void* context, float* log_sum_exp,
                             const Attention& attention) {
  with_steps(attention.width / attention.heads, [&](auto steps) {
    launch_whole(forward_kernel<steps()>, forward_bytes, stream, attention,
                 static_cast<bf16*>(context), log_sum_exp);
  });
}

void attention_whole_backward(cudaStream_t stream, void* dqkv, const void* dcontext,
                              const void* context, const float* log_sum_exp,
                              const Attention& attention) {
  with_steps(attention.width / attention.heads, [&](auto steps) {
    launch_whole(backward_kernel<steps()>, backward_bytes, stream, attention,
                 static_cast<bf16*>(dqkv), static_cast<const bf16*>(dcontext),
                 static_cast<const bf16*>(context), log_sum_exp);
  });
}

}  // namespace barcodemae::cuda
