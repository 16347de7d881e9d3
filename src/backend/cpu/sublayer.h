// SPDX-License-Identifier: MIT
// What the attention and the feed-forward block share: y = LN(x + dropout(product + bias)) at the
// end of a block of rows, and its way back.
#pragma once

#include <initializer_list>

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/row_blocks.h"
#include "tensor/backend.h"

namespace barcodemae::cpu {

/// Kept from forward to backward, in the padded layout.
struct SublayerSaved {
  void* sum;           ///< [rows, H]: before the norm
  float *mean, *rstd;  ///< [rows]
  std::uint8_t* keep;  ///< dropout bits, [rows, keep_stride(H)]

  SublayerSaved(Carver& carver, std::int64_t rows, std::int64_t width, DType type)
      : sum(carver.take(rows * width, type)),
        mean(carver.take<float>(rows)),
        rstd(carver.take<float>(rows)),
        keep(carver.take<std::uint8_t>(static_cast<std::int64_t>(keep_bytes(rows, width)))) {}
};

/// One thread's.
struct SublayerScratch {
  std::int32_t* records;  ///< [rows]
  std::uint8_t* keep;     ///< unless saved
  float* norm;            ///< [H]

  SublayerScratch(Carver& carver, std::int64_t rows, std::int64_t width)
      : records(carver.take<std::int32_t>(rows)),
        keep(carver.take<std::uint8_t>(static_cast<std::int64_t>(keep_bytes(rows, width)))),
        norm(carver.take<float>(width)) {}
};

/// Rows of y; `product` [padded rows, H] without its bias.
void sublayer_forward(const Kernels& kernels, View y, View x, const void* product,
                      const RowBlock& rows, const Segments& segments, const Dropout& dropout,
                      const Parameter& bias, const Parameter& norm_weight,
                      const Parameter& norm_bias, float epsilon, const SublayerSaved* saved,
                      const SublayerScratch& scratch);

/// Rows of dx (the residual's share; into `dsum` when dx is not wanted) and of `dproduct` (dead
/// rows 0). `partial` [3, H]: += gradients of norm weight, norm bias and bias. `norm_scratch` [4H].
void sublayer_backward(const Kernels& kernels, View dx, bool accumulate, void* dsum, void* dproduct,
                       View dy, const RowBlock& rows, const Dropout& dropout,
                       const Parameter& norm_weight, const SublayerSaved& saved, float* partial,
                       float* norm_scratch);

/// The block's rows of x, with dead rows to read behind them: in place or copied to `copy`.
const void* readable_rows(View x, const RowBlock& rows, void* copy);
/// The block's rows of x and dead rows of zeros.
void copy_rows(void* destination, View x, const RowBlock& rows);
/// Of a block in the padded layout.
void zero_dead_rows(void* data, DType type, const RowBlock& rows, std::int64_t cols);
/// The block's rows of dx += addend.
void add_to_rows(const Kernels& kernels, View dx, const void* addend, const RowBlock& rows);

/// Adds the blocks' shares, in order, to the gradients of vectors that lie side by side in each.
void combine_partials(const Kernels& kernels, const float* partial, std::int64_t blocks,
                      std::int64_t stride, std::initializer_list<const Parameter*> parameters);

}  // namespace barcodemae::cpu
