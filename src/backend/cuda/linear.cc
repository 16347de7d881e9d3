// SPDX-License-Identifier: MIT
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernels/rows.h"

namespace barcodemae {

using namespace cuda;

void CudaBackend::linear_forward(View y, View x, const LinearLayer& layer) {
  project(y, x, layer.weight, layer.bias);
}

void CudaBackend::linear_backward(View dx, bool accumulate, View dy, View x,
                                  const LinearLayer& layer) {
  add_weight_gradient(layer.weight, dy, x);
  if (layer.bias.gradient.data != nullptr) {
    const auto count = static_cast<std::size_t>(column_sum_count(dy.rows, dy.cols));
    add_bias_gradient(layer.bias, dy, static_cast<float*>(sums(count * sizeof(float))));
  }
  if (dx.data == nullptr) return;
  project_back(dx, dy, layer.weight, accumulate ? dx.data : nullptr);
}

}  // namespace barcodemae
