// SPDX-License-Identifier: MIT
// Rows picked from and put into matrices, sums over rows, conversions. Matrices of activations have
// a multiple of 8 columns, unless it says otherwise.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "backend/cuda/kernels/names.h"
#include "tensor/view.h"

namespace barcodemae::cuda {

/// y[i] = x[index[i]]; with dropout, of the rows of x.
void gather_rows(cudaStream_t stream, View y, View x, const std::int32_t* index,
                 const RowNames& names = {}, const DropoutStream& dropout = {});
/// y[index[i]] = or += dropout(x[i]), the rows being called as those of y.
void put_rows(cudaStream_t stream, View y, bool accumulate, View x, const std::int32_t* index,
              const RowNames& names = {}, const DropoutStream& dropout = {});
/// y[index[i]] = x[i], all other rows `fill` [cols]; index ascending, [rows of x].
void scatter_rows(cudaStream_t stream, View y, View x, const std::int32_t* index,
                  const float* fill);

/// Rows that one block of column_sums() adds up: partial sums have a row for each piece.
constexpr std::int64_t kSumPieceRows = 128;
/// partial[piece] = Σ of its rows of x [rows, cols], any number of columns; `stride` elements from
/// row to row. `but` (ascending, [but_rows]; may be null): rows that do not count.
void column_sums(cudaStream_t stream, float* partial, View x, std::int64_t stride,
                 const std::int32_t* but = nullptr, std::int64_t but_rows = 0);
/// sums[c] += factor · Σ of pieces of partial[piece · stride + c].
void add_partial_sums(cudaStream_t stream, float* sums, const float* partial, std::int64_t pieces,
                      std::int64_t stride, std::int64_t cols, float factor = 1);
/// table[index[i]] += factor · x[i], in the order of i; any number of columns; table [rows, cols]
/// float32; `stride` elements from row to row of x.
void add_to_table(cudaStream_t stream, View table, const std::int32_t* index, View x,
                  std::int64_t stride, float factor = 1);

/// y[n] = mean of the rows of sequence n, float32.
void mean_pool(cudaStream_t stream, View y, View x, const RowNames& names);
void mean_pool_backward(cudaStream_t stream, View dx, bool accumulate, View dy,
                        const RowNames& names);

/// y = or += x, element by element, of any two floating-point types and any size.
void convert(cudaStream_t stream, View y, bool accumulate, View x);
/// y = a + b, all of one type.
void add(cudaStream_t stream, View y, View a, View b);

/// positions[i] = names.positions[index[i]]
void gather_positions(cudaStream_t stream, std::int32_t* positions, const std::int32_t* index,
                      std::int64_t count, const RowNames& names);

}  // namespace barcodemae::cuda
