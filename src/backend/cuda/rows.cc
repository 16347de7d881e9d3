// SPDX-License-Identifier: MIT
#include "backend/cuda/kernels/rows.h"

#include "backend/cuda/cuda_backend.h"

namespace barcodemae {

using namespace cuda;

void CudaBackend::gather_rows_forward(View y, View x, View index) {
  gather_rows(stream_, y, x, integers(index));
}

void CudaBackend::gather_rows_backward(View dx, bool accumulate, View dy, View index) {
  if (dx.data == nullptr) return;
  if (!accumulate) zero(dx);
  put_rows(stream_, dx, accumulate, dy, integers(index));
}

void CudaBackend::scatter_rows_forward(View y, View x, View index, const Parameter& fill) {
  scatter_rows(stream_, y, x, integers(index), values(fill));
}

void CudaBackend::scatter_rows_backward(View dx, bool accumulate, View dy, View index,
                                        const Parameter& fill) {
  if (dx.data != nullptr) {
    if (accumulate) {
      const View picked{sums(dx.bytes()), dx.rows, dx.cols, dx.dtype};
      gather_rows(stream_, picked, dy, integers(index));
      add(stream_, dx, dx, picked);
    } else {
      gather_rows(stream_, dx, dy, integers(index));
    }
  }
  if (fill.gradient.data == nullptr || dy.rows == 0) return;
  const std::int64_t pieces = column_sum_count(dy.rows, 1);
  auto* partial =
      static_cast<float*>(sums(static_cast<std::size_t>(pieces * dy.cols) * sizeof(float)));
  column_sums(stream_, partial, dy, dy.cols, integers(index), index.rows);
  add_partial_sums(stream_, gradient(fill), partial, pieces, dy.cols, dy.cols);
}

void CudaBackend::mean_pool_forward(View y, View x, const Segments& segments) {
  mean_pool(stream_, y, x, row_names(segments));
}

void CudaBackend::mean_pool_backward(View dx, bool accumulate, View dy, const Segments& segments) {
  if (dx.data == nullptr) return;
  cuda::mean_pool_backward(stream_, dx, accumulate, dy, row_names(segments));
}

void CudaBackend::convert_forward(View y, View x) { convert(stream_, y, false, x); }

void CudaBackend::convert_backward(View dx, bool accumulate, View dy) {
  if (dx.data != nullptr) convert(stream_, dx, accumulate, dy);
}

void CudaBackend::add_forward(View y, View a, View b) { add(stream_, y, a, b); }

}  // namespace barcodemae
