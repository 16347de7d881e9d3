// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace barcodemae {

/// product [rows, cols] = op(a) · op(b), all row-major, the strides in floats; op transposes where
/// asked ('T', else 'N') and `inner` is the length of the sums. On the calling thread alone when
/// it holds a OneOpenMpThread: the same bits then, whatever else runs.
void sgemm(char transpose_a, char transpose_b, std::int64_t rows, std::int64_t cols,
           std::int64_t inner, const float* a, std::int64_t a_stride, const float* b,
           std::int64_t b_stride, float* product, std::int64_t stride);

}  // namespace barcodemae
