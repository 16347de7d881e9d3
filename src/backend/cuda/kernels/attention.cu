// SPDX-License-Identifier: MIT
// Attention in float32 arithmetic, for any head size and length: tiles of keys with an online
// softmax (Dao et al., "FlashAttention", 2022). The backward pass recomputes the probabilities from
// log-sum-exp, once with a block for some queries and once with a block for some keys, so that
// every sum has one owner and one order.
//
// Everywhere a block holds some "outer" rows of one head of one sequence, eight to a warp, and
// meets tiles of 32 "inner" rows, one to a lane. Products over the head size: a lane takes its
// inner row with the warp's eight outer rows. Products over the inner rows: a lane takes four
// channels.
#include <cmath>
#include <type_traits>

#include "backend/cuda/kernels/attention.h"
#include "backend/cuda/kernels/attention_whole.h"
#include "backend/cuda/kernels/device.cuh"

namespace barcodemae::cuda {
namespace {

constexpr int kInner = kWarp;
constexpr int kOuterPerWarp = 8;
constexpr int kMostWarps = 4;
constexpr int kWeightStride = kInner + 4;  // of rows of weights (probabilities or their gradients)
constexpr int kPartChannels = 4 * kWarp;   // channels that a warp holds at once

/// Rows of floats in shared memory: the four floats that lanes read from 8 rows below each other
/// lie in different banks.
constexpr int row_stride(int head_size) { return head_size + 4; }

template <typename T>
struct Problem {
  const T* qkv = nullptr;
  RowNames names;
  DropoutStream dropout;
  std::int64_t rows = 0, width = 0;
  int heads = 1, head_size = 0;
  int outer_tiles = 0;  // of the longest sequence
  int done = 0;         // sequences of up to so many rows have their own kernel
  bool causal = false;
  float scale = 1;  // of the scores
};

/// What a block works on.
struct Place {
  int sequence = 0, head = 0;
  std::int64_t first = 0;  // row where the sequence begins
  int count = 0;           // rows of the sequence
  int begin = 0;           // its first outer row, inside the sequence
  int outer = 0;           // outer rows of a block
  int warp = 0, lane = 0;
  bool empty = false;  // nothing to do
};

template <typename T>
__device__ Place place_of_block(const Problem<T>& problem) {
  Place place;
  const int pair = static_cast<int>(blockIdx.x) / problem.outer_tiles;
  place.sequence = pair / problem.heads;
  place.head = pair % problem.heads;
  place.first = problem.names.offsets[place.sequence];
  place.count = problem.names.offsets[place.sequence + 1] - static_cast<int>(place.first);
  place.warp = static_cast<int>(threadIdx.x) / kWarp;
  place.lane = static_cast<int>(threadIdx.x) % kWarp;
  place.outer = static_cast<int>(blockDim.x) / kWarp * kOuterPerWarp;
  place.begin = static_cast<int>(blockIdx.x) % problem.outer_tiles * place.outer;
  place.empty = place.count <= problem.done || place.begin >= place.count;
  return place;
}

enum Which { kQuery = 0, kKey = 1, kValue = 2 };

/// Where row `row` of a sequence has its query, key or value, in qkv or in its gradient.
template <typename T, typename Pointer>
__device__ Pointer* qkv_row(Pointer* qkv, const Problem<T>& problem, const Place& place,
                            Which which, int row) {
  return qkv + (place.first + row) * 3 * problem.width + which * problem.width +
         place.head * problem.head_size;
}

/// The same of context or its gradient.
template <typename T, typename Pointer>
__device__ Pointer* context_row(Pointer* context, const Problem<T>& problem, const Place& place,
                                int row) {
  return context + (place.first + row) * problem.width + place.head * problem.head_size;
}

/// Copies `rows` rows into shared memory, by the whole block; those from `live` on become 0.
template <typename T>
__device__ void load_rows(float* to, const T* from, std::int64_t from_stride, int rows, int live,
                          int head_size) {
  const int eights = head_size / 8, stride = row_stride(head_size);
  for (int i = static_cast<int>(threadIdx.x); i < rows * eights;
       i += static_cast<int>(blockDim.x)) {
    const int row = i / eights, channel = i % eights * 8;
    float values[8] = {};
    if (row < live) load8(values, from + row * from_stride + channel);
    auto* four = reinterpret_cast<float4*>(to + row * stride + channel);
    four[0] = float4{values[0], values[1], values[2], values[3]};
    four[1] = float4{values[4], values[5], values[6], values[7]};
  }
}

/// products[r] = Σ over channels of outer[r] · inner, for the warp's rows and the lane's row.
__device__ __forceinline__ void multiply_rows(float (&products)[kOuterPerWarp], const float* outer,
                                              const float* inner, int head_size) {
  const int stride = row_stride(head_size);
#pragma unroll
  for (int r = 0; r < kOuterPerWarp; ++r) products[r] = 0;
  for (int channel = 0; channel < head_size; channel += 4) {
    const float4 b = *reinterpret_cast<const float4*>(inner + channel);
#pragma unroll
    for (int r = 0; r < kOuterPerWarp; ++r) {
      const float4 a = *reinterpret_cast<const float4*>(outer + r * stride + channel);
      products[r] = fmaf(a.x, b.x, products[r]);
      products[r] = fmaf(a.y, b.y, products[r]);
      products[r] = fmaf(a.z, b.z, products[r]);
      products[r] = fmaf(a.w, b.w, products[r]);
    }
  }
}

template <typename T>
struct alignas(4 * sizeof(T)) Four {
  T values[4];
};

/// A lane's channels of the warp's outer rows: part · 128 + 4 · lane + 0 … 3 for each part.
template <int kParts>
struct OuterRows {
  float values[kOuterPerWarp][kParts][4] = {};

  __device__ __forceinline__ void scale(int r, float factor) {
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
#pragma unroll
      for (int i = 0; i < 4; ++i) values[r][part][i] *= factor;
    }
  }

  /// Row r += Σ over inner rows of weights[r] · inner.
  __device__ __forceinline__ void add(const float* weights, const float* inner, int lane,
                                      int head_size) {
    const int stride = row_stride(head_size);
    for (int row = 0; row < kInner; row += 4) {
      float4 b[4][kParts];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int part = 0; part < kParts; ++part) {
          const int channel = part * kPartChannels + 4 * lane;
          b[i][part] = float4{0, 0, 0, 0};
          if (channel < head_size) {
            b[i][part] = *reinterpret_cast<const float4*>(inner + (row + i) * stride + channel);
          }
        }
      }
#pragma unroll
      for (int r = 0; r < kOuterPerWarp; ++r) {
        const float4 four = *reinterpret_cast<const float4*>(weights + r * kWeightStride + row);
        const float weight[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
        for (int i = 0; i < 4; ++i) {
#pragma unroll
          for (int part = 0; part < kParts; ++part) {
            float(&to)[4] = values[r][part];
            to[0] = fmaf(weight[i], b[i][part].x, to[0]);
            to[1] = fmaf(weight[i], b[i][part].y, to[1]);
            to[2] = fmaf(weight[i], b[i][part].z, to[2]);
            to[3] = fmaf(weight[i], b[i][part].w, to[3]);
          }
        }
      }
    }
  }

  /// to = row r times a factor.
  template <typename T>
  __device__ __forceinline__ void store(T* to, int r, float factor, int lane, int head_size) const {
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      const int channel = part * kPartChannels + 4 * lane;
      if (channel < head_size) {
        Four<T> four;
#pragma unroll
        for (int i = 0; i < 4; ++i) four.values[i] = from_float<T>(values[r][part][i] * factor);
        *reinterpret_cast<Four<T>*>(to + channel) = four;
      }
    }
  }
};

/// The factors by which dropout multiplies a warp's probabilities, with queries outside and keys
/// inside: the 8 · 32 of a tile take one Philox block of each lane.
struct QueryDropout {
  const DropoutStream& dropout;
  std::uint32_t record = 0, position = 0, first_channel = 0;
  int lane = 0;
  unsigned bits = 0;

  template <typename T>
  __device__ QueryDropout(const Problem<T>& problem, const Place& place, int first_query)
      : dropout(problem.dropout), lane(place.lane) {
    if (dropout.threshold == 0) return;
    const int query = min(first_query + lane / 4, place.count - 1);
    record = static_cast<std::uint32_t>(problem.names.records[place.sequence]);
    position = static_cast<std::uint32_t>(problem.names.positions[place.first + query]);
    first_channel = static_cast<std::uint32_t>(place.head) * 2048;
  }
  /// Before the factors of a tile of keys.
  __device__ void next_tile(int first_key) {
    if (dropout.threshold == 0) return;
    const auto channel = first_channel + static_cast<std::uint32_t>(first_key + lane % 4 * 8);
    bits = keep_bits(dropout, record, position, channel / 8);
  }
  /// Of query r of the warp and the lane's key; all lanes together.
  __device__ float factor(int r) const {
    if (dropout.threshold == 0) return 1;
    const unsigned eight = __shfl_sync(kAllLanes, bits, r * 4 + lane / 8);
    return (eight >> (lane % 8) & 1) != 0 ? dropout.scale : 0.0f;
  }
};

// Forward: queries outside, keys inside ---------------------------------------------------------

constexpr std::size_t forward_floats(int warps, int head_size) {
  const int outer = warps * kOuterPerWarp;
  return static_cast<std::size_t>((outer + 2 * kInner) * row_stride(head_size) +
                                  outer * kWeightStride);
}

template <typename T, int kParts>
__global__ void __launch_bounds__(kMostWarps* kWarp)
    forward_kernel(T* context, float* log_sum_exp, Problem<T> problem) {
  const Place place = place_of_block(problem);
  if (place.empty) return;
  const int size = problem.head_size, stride = row_stride(size), lane = place.lane;
  auto* const queries = reinterpret_cast<float*>(dynamic_shared);
  float* const keys = queries + place.outer * stride;
  float* const values = keys + kInner * stride;
  float* const weights = values + kInner * stride + place.warp * kOuterPerWarp * kWeightStride;
  const int first_query = place.begin + place.warp * kOuterPerWarp;  // of the warp

  load_rows(queries, qkv_row(problem.qkv, problem, place, kQuery, place.begin), 3 * problem.width,
            place.outer, place.count - place.begin, size);
  QueryDropout dropout(problem, place, first_query);
  OuterRows<kParts> sums_of_values;
  float largest[kOuterPerWarp], sums[kOuterPerWarp];  // of the lane's keys alone: the sums
#pragma unroll
  for (int r = 0; r < kOuterPerWarp; ++r) {
    largest[r] = -INFINITY;
    sums[r] = 0;
  }
  const int seen = problem.causal ? min(place.count, place.begin + place.outer) : place.count;
  for (int first_key = 0; first_key < seen; first_key += kInner) {
    __syncthreads();  // the tile before has been read
    load_rows(keys, qkv_row(problem.qkv, problem, place, kKey, first_key), 3 * problem.width,
              kInner, place.count - first_key, size);
    load_rows(values, qkv_row(problem.qkv, problem, place, kValue, first_key), 3 * problem.width,
              kInner, place.count - first_key, size);
    __syncthreads();
    float scores[kOuterPerWarp];
    multiply_rows(scores, queries + place.warp * kOuterPerWarp * stride, keys + lane * stride,
                  size);
    dropout.next_tile(first_key);
    const int key = first_key + lane;
#pragma unroll
    for (int r = 0; r < kOuterPerWarp; ++r) {
      const bool live = key < place.count && (!problem.causal || key <= first_query + r);
      const float score = live ? scores[r] * problem.scale : -INFINITY;
      // Every query sees key 0, so that this is no longer infinite after the first tile.
      const float top = fmaxf(largest[r], warp_max(score));
      const float correction = expf(largest[r] - top);
      const float exponential = expf(score - top);
      largest[r] = top;
      sums[r] = fmaf(sums[r], correction, exponential);
      sums_of_values.scale(r, correction);
      weights[r * kWeightStride + lane] = exponential * dropout.factor(r);
    }
    __syncwarp();
    sums_of_values.add(weights, values, lane, size);
    __syncwarp();
  }
#pragma unroll
  for (int r = 0; r < kOuterPerWarp; ++r) {
    const float sum = warp_sum(sums[r]);
    const int query = first_query + r;
    if (query >= place.count) break;
    sums_of_values.store(context_row(context, problem, place, query), r, 1.0f / sum, lane, size);
    if (log_sum_exp != nullptr && lane == 0) {
      log_sum_exp[place.head * problem.rows + place.first + query] = largest[r] + logf(sum);
    }
  }
}

// Backward --------------------------------------------------------------------------------------

struct SavedRows {
  const float* log_sum_exp = nullptr;  // [heads, T]
  const float* delta = nullptr;        // [heads, T] Σ over channels of dcontext · context
};

/// A warp to a row of a head.
template <typename T>
__global__ void delta_kernel(float* delta, const T* dcontext, const T* context,
                             Problem<T> problem) {
  const std::int64_t pair =
      (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp;
  if (pair >= problem.rows * problem.heads) return;
  const std::int64_t row = pair / problem.heads, head = pair % problem.heads;
  const std::int64_t offset = row * problem.width + head * problem.head_size;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  float sum = 0;
  if (lane * 8 < problem.head_size) {
    float a[8], b[8];
    load8(a, dcontext + offset + lane * 8);
    load8(b, context + offset + lane * 8);
#pragma unroll
    for (int i = 0; i < 8; ++i) sum = fmaf(a[i], b[i], sum);
  }
  sum = warp_sum(sum);
  if (lane == 0) delta[head * problem.rows + row] = sum;
}

constexpr std::size_t query_gradient_floats(int warps, int head_size) {
  const int outer = warps * kOuterPerWarp;
  return static_cast<std::size_t>((2 * outer + 2 * kInner) * row_stride(head_size) +
                                  outer * kWeightStride);
}

/// dQ: queries outside, keys inside.
template <typename T, int kParts>
__global__ void __launch_bounds__(kMostWarps* kWarp)
    query_gradient_kernel(T* dqkv, const T* dcontext, SavedRows saved, Problem<T> problem) {
  const Place place = place_of_block(problem);
  if (place.empty) return;
  const int size = problem.head_size, stride = row_stride(size), lane = place.lane;
  auto* const queries = reinterpret_cast<float*>(dynamic_shared);
  float* const gradients = queries + place.outer * stride;
  float* const keys = gradients + place.outer * stride;
  float* const values = keys + kInner * stride;
  float* const weights = values + kInner * stride + place.warp * kOuterPerWarp * kWeightStride;
  const int first_query = place.begin + place.warp * kOuterPerWarp;

  load_rows(queries, qkv_row(problem.qkv, problem, place, kQuery, place.begin), 3 * problem.width,
            place.outer, place.count - place.begin, size);
  load_rows(gradients, context_row(dcontext, problem, place, place.begin), problem.width,
            place.outer, place.count - place.begin, size);
  QueryDropout dropout(problem, place, first_query);
  float log_sum_exp[kOuterPerWarp], delta[kOuterPerWarp];
#pragma unroll
  for (int r = 0; r < kOuterPerWarp; ++r) {
    const int query = min(first_query + r, place.count - 1);
    const std::int64_t row = place.head * problem.rows + place.first + query;
    log_sum_exp[r] = saved.log_sum_exp[row];
    delta[r] = saved.delta[row];
  }
  OuterRows<kParts> dquery;
  const int seen = problem.causal ? min(place.count, place.begin + place.outer) : place.count;
  for (int first_key = 0; first_key < seen; first_key += kInner) {
    __syncthreads();
    load_rows(keys, qkv_row(problem.qkv, problem, place, kKey, first_key), 3 * problem.width,
              kInner, place.count - first_key, size);
    load_rows(values, qkv_row(problem.qkv, problem, place, kValue, first_key), 3 * problem.width,
              kInner, place.count - first_key, size);
    __syncthreads();
    float scores[kOuterPerWarp], dprobabilities[kOuterPerWarp];
    multiply_rows(scores, queries + place.warp * kOuterPerWarp * stride, keys + lane * stride,
                  size);
    multiply_rows(dprobabilities, gradients + place.warp * kOuterPerWarp * stride,
                  values + lane * stride, size);
    dropout.next_tile(first_key);
    const int key = first_key + lane;
#pragma unroll
    for (int r = 0; r < kOuterPerWarp; ++r) {
      const bool live = key < place.count && (!problem.causal || key <= first_query + r);
      const float probability = live ? expf(scores[r] * problem.scale - log_sum_exp[r]) : 0.0f;
      const float dprobability = dprobabilities[r] * dropout.factor(r);
      weights[r * kWeightStride + lane] = probability * (dprobability - delta[r]);
    }
    __syncwarp();
    dquery.add(weights, keys, lane, size);
    __syncwarp();
  }
#pragma unroll
  for (int r = 0; r < kOuterPerWarp; ++r) {
    const int query = first_query + r;
    if (query >= place.count) break;
    dquery.store(qkv_row(dqkv, problem, place, kQuery, query), r, problem.scale, lane, size);
  }
}

constexpr std::size_t key_gradient_floats(int warps, int head_size) {
  const int outer = warps * kOuterPerWarp;
  return static_cast<std::size_t>((2 * outer + 2 * kInner) * row_stride(head_size) +
                                  2 * outer * kWeightStride);
}

/// dK and dV: keys outside, queries inside.
template <typename T, int kParts>
__global__ void __launch_bounds__(kMostWarps* kWarp)
    key_gradient_kernel(T* dqkv, const T* dcontext, SavedRows saved, Problem<T> problem) {
  const Place place = place_of_block(problem);
  if (place.empty) return;
  const int size = problem.head_size, stride = row_stride(size), lane = place.lane;
  auto* const keys = reinterpret_cast<float*>(dynamic_shared);
  float* const values = keys + place.outer * stride;
  float* const queries = values + place.outer * stride;
  float* const gradients = queries + kInner * stride;
  float* const score_weights =
      gradients + kInner * stride + 2 * place.warp * kOuterPerWarp * kWeightStride;
  float* const value_weights = score_weights + kOuterPerWarp * kWeightStride;
  const int first_key = place.begin + place.warp * kOuterPerWarp;  // of the warp
  const bool drop = problem.dropout.threshold != 0;
  const auto record = static_cast<std::uint32_t>(problem.names.records[place.sequence]);

  load_rows(keys, qkv_row(problem.qkv, problem, place, kKey, place.begin), 3 * problem.width,
            place.outer, place.count - place.begin, size);
  load_rows(values, qkv_row(problem.qkv, problem, place, kValue, place.begin), 3 * problem.width,
            place.outer, place.count - place.begin, size);
  OuterRows<kParts> dkey, dvalue;
  for (int first_query = problem.causal ? place.begin : 0; first_query < place.count;
       first_query += kInner) {
    __syncthreads();
    load_rows(queries, qkv_row(problem.qkv, problem, place, kQuery, first_query), 3 * problem.width,
              kInner, place.count - first_query, size);
    load_rows(gradients, context_row(dcontext, problem, place, first_query), problem.width, kInner,
              place.count - first_query, size);
    __syncthreads();
    float scores[kOuterPerWarp], dprobabilities[kOuterPerWarp];
    multiply_rows(scores, keys + place.warp * kOuterPerWarp * stride, queries + lane * stride,
                  size);
    multiply_rows(dprobabilities, values + place.warp * kOuterPerWarp * stride,
                  gradients + lane * stride, size);
    const int query = first_query + lane;
    const std::int64_t row = place.first + min(query, place.count - 1);
    const float log_sum_exp = saved.log_sum_exp[place.head * problem.rows + row];
    const float delta = saved.delta[place.head * problem.rows + row];
    unsigned kept = 0xff;  // the warp's keys are one Philox block
    if (drop) {
      kept = keep_bits(problem.dropout, record,
                       static_cast<std::uint32_t>(problem.names.positions[row]),
                       static_cast<std::uint32_t>(place.head * 2048 + first_key) / 8);
    }
#pragma unroll
    for (int r = 0; r < kOuterPerWarp; ++r) {
      const int key = first_key + r;
      const bool live =
          query < place.count && key < place.count && (!problem.causal || key <= query);
      const float probability = live ? expf(scores[r] * problem.scale - log_sum_exp) : 0.0f;
      const float factor = (kept >> r & 1) == 0 ? 0.0f : drop ? problem.dropout.scale : 1.0f;
      score_weights[r * kWeightStride + lane] = probability * (dprobabilities[r] * factor - delta);
      value_weights[r * kWeightStride + lane] = probability * factor;
    }
    __syncwarp();
    dkey.add(score_weights, queries, lane, size);
    dvalue.add(value_weights, gradients, lane, size);
    __syncwarp();
  }
#pragma unroll
  for (int r = 0; r < kOuterPerWarp; ++r) {
    const int key = first_key + r;
    if (key >= place.count) break;
    dkey.store(qkv_row(dqkv, problem, place, kKey, key), r, problem.scale, lane, size);
    dvalue.store(qkv_row(dqkv, problem, place, kValue, key), r, 1.0f, lane, size);
  }
}

// Launching -------------------------------------------------------------------------------------

using FloatsOfBlock = std::size_t (*)(int warps, int head_size);

/// kernel<T, kParts>(arguments…, problem) with as many warps to a block as the shared memory has
/// room for.
template <typename T, typename Kernel, typename... Arguments>
void launch_tiles(Kernel kernel, FloatsOfBlock floats_of_block, cudaStream_t stream,
                  const Attention& attention, Problem<T> problem, const Arguments&... arguments) {
  int warps = kMostWarps;
  const auto bytes = [&] { return floats_of_block(warps, problem.head_size) * sizeof(float); };
  while (warps > 1 && bytes() > static_cast<std::size_t>(shared_memory_limit())) --warps;
  problem.outer_tiles = static_cast<int>(blocks_for(attention.longest, warps * kOuterPerWarp));
  const auto blocks =
      static_cast<unsigned>(problem.names.sequences * problem.heads * problem.outer_tiles);
  launch(kernel, dim3(blocks), dim3(static_cast<unsigned>(warps * kWarp)), bytes(), stream,
         arguments..., problem);
}

template <typename T>
Problem<T> problem_of(const Attention& attention, int done) {
  Problem<T> problem;
  problem.qkv = static_cast<const T*>(attention.qkv);
  problem.names = attention.names;
  problem.dropout = attention.dropout;
  problem.rows = attention.rows;
  problem.width = attention.width;
  problem.heads = attention.heads;
  problem.head_size = static_cast<int>(attention.width / attention.heads);
  problem.done = done;
  problem.causal = attention.causal;
  problem.scale = 1.0f / std::sqrt(static_cast<float>(problem.head_size));
  return problem;
}

/// body(problem, std::integral_constant<int, parts>) for the type and head size at hand.
template <typename Body>
void with_problem(const Attention& attention, int done, Body&& body) {
  with_type(attention.type, [&](auto type) {
    const auto problem = problem_of<decltype(type)>(attention, done);
    if (problem.head_size <= kPartChannels) {
      body(problem, std::integral_constant<int, 1>{});
    } else {
      body(problem, std::integral_constant<int, 2>{});
    }
  });
}

}  // namespace

void attention_forward(cudaStream_t stream, void* context, float* log_sum_exp,
                       const Attention& attention) {
  const int limit = attention_whole_limit(attention);
  if (limit > 0) attention_whole_forward(stream, context, log_sum_exp, attention);
  if (attention.longest <= limit) return;
  with_problem(attention, limit, [&](auto problem, auto parts) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(problem.qkv)>>;
    launch_tiles<T>(forward_kernel<T, parts()>, forward_floats, stream, attention, problem,
                    static_cast<T*>(context), log_sum_exp);
  });
}

std::size_t attention_backward_scratch(const Attention& attention) {
  if (attention.longest <= attention_whole_limit(attention)) return 0;
  return static_cast<std::size_t>(attention.rows * attention.heads) * sizeof(float);
}

void attention_backward(cudaStream_t stream, void* dqkv, const void* dcontext, const void* context,
                        const float* log_sum_exp, void* scratch, const Attention& attention) {
  const int limit = attention_whole_limit(attention);
  if (limit > 0) {
    attention_whole_backward(stream, dqkv, dcontext, context, log_sum_exp, attention);
  }
  if (attention.longest <= limit) return;
  with_problem(attention, limit, [&](auto problem, auto parts) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(problem.qkv)>>;
    auto* const delta = static_cast<float*>(scratch);
    const auto* const dcontext_rows = static_cast<const T*>(dcontext);
    constexpr unsigned kThreads = 256;
    launch(delta_kernel<T>, dim3(blocks_for(problem.rows * problem.heads, kThreads / kWarp)),
           dim3(kThreads), 0, stream, delta, dcontext_rows, static_cast<const T*>(context),
           problem);
    const SavedRows saved{log_sum_exp, delta};
    launch_tiles<T>(query_gradient_kernel<T, parts()>, query_gradient_floats, stream, attention,
                    problem, static_cast<T*>(dqkv), dcontext_rows, saved);
    launch_tiles<T>(key_gradient_kernel<T, parts()>, key_gradient_floats, stream, attention,
                    problem, static_cast<T*>(dqkv), dcontext_rows, saved);
  });
}

}  // namespace barcodemae::cuda
