// SPDX-License-Identifier: MIT
#include "analysis/sgemm.h"

#include <dnnl.h>

#include "base/error.h"

namespace barcodemae {

void sgemm(char transpose_a, char transpose_b, std::int64_t rows, std::int64_t cols,
           std::int64_t inner, const float* a, std::int64_t a_stride, const float* b,
           std::int64_t b_stride, float* product, std::int64_t stride) {
  const dnnl_status_t status = dnnl_sgemm(transpose_a, transpose_b, rows, cols, inner, 1.0f, a,
                                          a_stride, b, b_stride, 0.0f, product, stride);
  BARCODEMAE_CHECK(status == dnnl_success, "sgemm failed with status {}", static_cast<int>(status));
}

}  // namespace barcodemae
