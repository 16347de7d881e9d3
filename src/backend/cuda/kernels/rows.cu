// SPDX-License-Identifier: MIT
#include "backend/cuda/kernels/device.cuh"
#include "backend/cuda/kernels/rows.h"

namespace barcodemae::cuda {
namespace {

constexpr int kThreads = 256;

/// One thread's eight channels of one row, when the grid covers rows · cols / 8.
struct Place {
  std::int64_t row = 0;
  int block = 0;  ///< channels 8 · block …
  bool inside = false;

  __device__ Place(std::int64_t rows, std::int64_t cols) {
    const std::int64_t number = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
    const std::int64_t blocks = cols / 8;
    row = number / blocks;
    block = static_cast<int>(number % blocks);
    inside = row < rows;
  }
};

unsigned grid_of(const View& view) { return blocks_for(view.size() / 8, kThreads); }

__device__ void drop_row8(float (&v)[8], const DropoutStream& dropout, const RowNames& names,
                          int row, int block) {
  if (dropout.threshold == 0) return;
  drop8(v, dropout, static_cast<std::uint32_t>(names.records[sequence_of_row(names, row)]),
        static_cast<std::uint32_t>(names.positions[row]), static_cast<std::uint32_t>(block));
}

template <typename T>
__global__ void gather_kernel(T* y, const T* x, const std::int32_t* index, std::int64_t rows,
                              std::int64_t cols, RowNames names, DropoutStream dropout) {
  const Place place(rows, cols);
  if (!place.inside) return;
  const std::int32_t source = index[place.row];
  float v[8];
  load8(v, x + source * cols + 8 * place.block);
  drop_row8(v, dropout, names, source, place.block);
  store8(y + place.row * cols + 8 * place.block, v);
}

template <typename T>
__global__ void put_kernel(T* y, bool accumulate, const T* x, const std::int32_t* index,
                           std::int64_t rows, std::int64_t cols, RowNames names,
                           DropoutStream dropout) {
  const Place place(rows, cols);
  if (!place.inside) return;
  const std::int32_t target = index[place.row];
  float v[8];
  load8(v, x + place.row * cols + 8 * place.block);
  drop_row8(v, dropout, names, target, place.block);
  T* to = y + target * cols + 8 * place.block;
  if (accumulate) {
    float before[8];
    load8(before, to);
#pragma unroll
    for (int i = 0; i < 8; ++i) v[i] += before[i];
  }
  store8(to, v);
}

/// The place of `row` in an ascending list, or −1.
__device__ std::int64_t find(const std::int32_t* list, std::int64_t count, std::int64_t row) {
  std::int64_t low = 0, high = count;
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (list[middle] < row) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < count && list[low] == row ? low : -1;
}

template <typename T>
__global__ void scatter_kernel(T* y, const T* x, const std::int32_t* index, std::int64_t given,
                               const float* fill, std::int64_t rows, std::int64_t cols) {
  const Place place(rows, cols);
  if (!place.inside) return;
  const std::int64_t source = find(index, given, place.row);
  float v[8];
  if (source >= 0) {
    load8(v, x + source * cols + 8 * place.block);
  } else {
    load8(v, fill + 8 * place.block);
  }
  store8(y + place.row * cols + 8 * place.block, v);
}

// A block has 32 columns and 8 groups of rows; the groups' sums are added in order.
constexpr int kColumns = 32;
constexpr int kGroups = kThreads / kColumns;

/// Σ over the groups, for the threads of group 0.
__device__ float sum_of_groups(float own) {
  auto* all = reinterpret_cast<float*>(dynamic_shared);
  all[threadIdx.x] = own;
  __syncthreads();
  float total = 0;
  if (threadIdx.x < kColumns) {
    for (unsigned group = 0; group < kGroups; ++group) total += all[group * kColumns + threadIdx.x];
  }
  return total;
}

template <typename T>
__global__ void column_sums_kernel(float* partial, const T* x, std::int64_t rows, std::int64_t cols,
                                   std::int64_t stride, const std::int32_t* but,
                                   std::int64_t but_rows) {
  const std::int64_t column = std::int64_t{blockIdx.y} * kColumns + threadIdx.x % kColumns;
  const std::int64_t first = std::int64_t{blockIdx.x} * kSumPieceRows;
  float sum = 0;
  if (column < cols) {
    for (std::int64_t row = first + threadIdx.x / kColumns;
         row < first + kSumPieceRows && row < rows; row += kGroups) {
      if (but != nullptr && find(but, but_rows, row) >= 0) continue;
      sum += to_float(x[row * stride + column]);
    }
  }
  const float total = sum_of_groups(sum);
  if (threadIdx.x < kColumns && column < cols) partial[blockIdx.x * cols + column] = total;
}

__global__ void add_partial_kernel(float* sums, const float* partial, std::int64_t pieces,
                                   std::int64_t stride, std::int64_t cols, float factor) {
  const std::int64_t column = std::int64_t{blockIdx.x} * kColumns + threadIdx.x % kColumns;
  float sum = 0;
  if (column < cols) {
    for (std::int64_t piece = threadIdx.x / kColumns; piece < pieces; piece += kGroups) {
      sum += partial[piece * stride + column];
    }
  }
  const float total = sum_of_groups(sum);
  if (threadIdx.x < kColumns && column < cols) sums[column] += factor * total;
}

// One block adds to kTableColumns columns of one row of the table. It looks for the row among
// kThreads places of the index at a time, and lists where it is.
constexpr int kTurns = 4;
constexpr int kTableColumns = kTurns * kThreads;
constexpr int kRowsAhead = 8;  // read before the first is added: [MASK] may be half of all rows

template <typename T>
__global__ void add_to_table_kernel(float* table, const std::int32_t* index, const T* x,
                                    std::int64_t count, std::int64_t cols, std::int64_t stride,
                                    float factor) {
  auto* list = reinterpret_cast<std::int32_t*>(dynamic_shared);  // [kThreads]
  std::int32_t* found_by_warp = list + kThreads;                 // [warps]
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const auto row = static_cast<std::int32_t>(blockIdx.x);
  const std::int64_t first_column = std::int64_t{blockIdx.y} * kTableColumns + threadIdx.x;
  float sums[kTurns] = {};
  bool any = false;
  for (std::int64_t first = 0; first < count; first += kThreads) {
    const std::int64_t place = first + threadIdx.x;
    const bool here = place < count && index[place] == row;
    const unsigned found = __ballot_sync(kAllLanes, here);
    if (lane == 0) found_by_warp[warp] = __popc(found);
    __syncthreads();
    int before = 0, total = 0;
    for (int other = 0; other < kThreads / kWarp; ++other) {
      if (other < warp) before += found_by_warp[other];
      total += found_by_warp[other];
    }
    if (here) {
      list[before + __popc(found & ((1u << lane) - 1))] = static_cast<std::int32_t>(place - first);
    }
    __syncthreads();
    for (int i = 0; i < total; i += kRowsAhead) {
      float values[kRowsAhead][kTurns] = {};
#pragma unroll
      for (int ahead = 0; ahead < kRowsAhead; ++ahead) {
        if (i + ahead >= total) break;
        const T* from = x + (first + list[i + ahead]) * stride;
#pragma unroll
        for (int turn = 0; turn < kTurns; ++turn) {
          const std::int64_t column = first_column + turn * kThreads;
          if (column < cols) values[ahead][turn] = to_float(from[column]);
        }
      }
#pragma unroll
      for (int ahead = 0; ahead < kRowsAhead; ++ahead) {
        if (i + ahead >= total) break;
#pragma unroll
        for (int turn = 0; turn < kTurns; ++turn) sums[turn] += values[ahead][turn];
      }
    }
    any = any || total > 0;
    __syncthreads();
  }
  if (!any) return;
#pragma unroll
  for (int turn = 0; turn < kTurns; ++turn) {
    const std::int64_t column = first_column + turn * kThreads;
    if (column < cols) table[row * cols + column] += factor * sums[turn];
  }
}

template <typename T>
__global__ void mean_pool_kernel(float* y, const T* x, std::int64_t cols, RowNames names) {
  const int block = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
  if (block >= cols / 8) return;
  const std::int32_t begin = names.offsets[blockIdx.x], end = names.offsets[blockIdx.x + 1];
  float sum[8] = {};
  for (std::int32_t row = begin; row < end; ++row) {
    float v[8];
    load8(v, x + row * cols + 8 * block);
#pragma unroll
    for (int i = 0; i < 8; ++i) sum[i] += v[i];
  }
  const float share = end > begin ? 1 / static_cast<float>(end - begin) : 0.0f;
#pragma unroll
  for (int i = 0; i < 8; ++i) sum[i] *= share;
  store8(y + blockIdx.x * cols + 8 * block, sum);
}

template <typename T>
__global__ void mean_pool_backward_kernel(T* dx, bool accumulate, const float* dy,
                                          std::int64_t rows, std::int64_t cols, RowNames names) {
  const Place place(rows, cols);
  if (!place.inside) return;
  const int sequence = sequence_of_row(names, static_cast<int>(place.row));
  const float share = 1 / static_cast<float>(names.offsets[sequence + 1] - names.offsets[sequence]);
  float v[8], before[8] = {};
  load8(v, dy + sequence * cols + 8 * place.block);
  T* to = dx + place.row * cols + 8 * place.block;
  if (accumulate) load8(before, to);
#pragma unroll
  for (int i = 0; i < 8; ++i) v[i] = v[i] * share + before[i];
  store8(to, v);
}

template <typename To, typename From>
__global__ void convert_kernel(To* y, bool accumulate, const From* x, std::int64_t size) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= size) return;
  y[i] = from_float<To>(to_float(x[i]) + (accumulate ? to_float(y[i]) : 0.0f));
}

template <typename T>
__global__ void add_kernel(T* y, const T* a, const T* b, std::int64_t size) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < size) y[i] = from_float<T>(to_float(a[i]) + to_float(b[i]));
}

__global__ void gather_positions_kernel(std::int32_t* positions, const std::int32_t* index,
                                        std::int64_t count, const std::int32_t* all) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < count) positions[i] = all[index[i]];
}

}  // namespace

void gather_rows(cudaStream_t stream, View y, View x, const std::int32_t* index,
                 const RowNames& names, const DropoutStream& dropout) {
  with_type(y.dtype, [&]<typename T>(T) {
    launch(gather_kernel<T>, grid_of(y), kThreads, 0, stream, static_cast<T*>(y.data),
           static_cast<const T*>(x.data), index, y.rows, y.cols, names, dropout);
  });
}

void put_rows(cudaStream_t stream, View y, bool accumulate, View x, const std::int32_t* index,
              const RowNames& names, const DropoutStream& dropout) {
  with_type(y.dtype, [&]<typename T>(T) {
    launch(put_kernel<T>, grid_of(x), kThreads, 0, stream, static_cast<T*>(y.data), accumulate,
           static_cast<const T*>(x.data), index, x.rows, x.cols, names, dropout);
  });
}

void scatter_rows(cudaStream_t stream, View y, View x, const std::int32_t* index,
                  const float* fill) {
  with_type(y.dtype, [&]<typename T>(T) {
    launch(scatter_kernel<T>, grid_of(y), kThreads, 0, stream, static_cast<T*>(y.data),
           static_cast<const T*>(x.data), index, x.rows, fill, y.rows, y.cols);
  });
}

void column_sums(cudaStream_t stream, float* partial, View x, std::int64_t stride,
                 const std::int32_t* but, std::int64_t but_rows) {
  with_type(x.dtype, [&]<typename T>(T) {
    launch(column_sums_kernel<T>,
           dim3(blocks_for(x.rows, kSumPieceRows), blocks_for(x.cols, kColumns)), kThreads,
           kThreads * sizeof(float), stream, partial, static_cast<const T*>(x.data), x.rows, x.cols,
           stride, but, but_rows);
  });
}

void add_partial_sums(cudaStream_t stream, float* sums, const float* partial, std::int64_t pieces,
                      std::int64_t stride, std::int64_t cols, float factor) {
  if (pieces == 0) return;
  launch(add_partial_kernel, blocks_for(cols, kColumns), kThreads, kThreads * sizeof(float), stream,
         sums, partial, pieces, stride, cols, factor);
}

void add_to_table(cudaStream_t stream, View table, const std::int32_t* index, View x,
                  std::int64_t stride, float factor) {
  if (x.rows == 0) return;
  with_type(x.dtype, [&]<typename T>(T) {
    launch(add_to_table_kernel<T>,
           dim3(static_cast<unsigned>(table.rows), blocks_for(table.cols, kTableColumns)), kThreads,
           (kThreads + kThreads / kWarp) * sizeof(std::int32_t), stream,
           static_cast<float*>(table.data), index, static_cast<const T*>(x.data), x.rows,
           table.cols, stride, factor);
  });
}

void mean_pool(cudaStream_t stream, View y, View x, const RowNames& names) {
  constexpr unsigned kPoolThreads = 96;  // 768 channels
  with_type(x.dtype, [&]<typename T>(T) {
    launch(mean_pool_kernel<T>,
           dim3(static_cast<unsigned>(y.rows), blocks_for(y.cols / 8, kPoolThreads)), kPoolThreads,
           0, stream, static_cast<float*>(y.data), static_cast<const T*>(x.data), y.cols, names);
  });
}

void mean_pool_backward(cudaStream_t stream, View dx, bool accumulate, View dy,
                        const RowNames& names) {
  with_type(dx.dtype, [&]<typename T>(T) {
    launch(mean_pool_backward_kernel<T>, grid_of(dx), kThreads, 0, stream, static_cast<T*>(dx.data),
           accumulate, static_cast<const float*>(dy.data), dx.rows, dx.cols, names);
  });
}

void convert(cudaStream_t stream, View y, bool accumulate, View x) {
  with_type(y.dtype, [&]<typename To>(To) {
    with_type(x.dtype, [&]<typename From>(From) {
      launch(convert_kernel<To, From>, blocks_for(y.size(), kThreads), kThreads, 0, stream,
             static_cast<To*>(y.data), accumulate, static_cast<const From*>(x.data), y.size());
    });
  });
}

void add(cudaStream_t stream, View y, View a, View b) {
  with_type(y.dtype, [&]<typename T>(T) {
    launch(add_kernel<T>, blocks_for(y.size(), kThreads), kThreads, 0, stream,
           static_cast<T*>(y.data), static_cast<const T*>(a.data), static_cast<const T*>(b.data),
           y.size());
  });
}

void gather_positions(cudaStream_t stream, std::int32_t* positions, const std::int32_t* index,
                      std::int64_t count, const RowNames& names) {
  launch(gather_positions_kernel, blocks_for(count, kThreads), kThreads, 0, stream, positions,
         index, count, names.positions);
}

}  // namespace barcodemae::cuda
