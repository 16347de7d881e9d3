// SPDX-License-Identifier: MIT
// The kernels of the including file's instruction set as a table.
#pragma once

#include "backend/cpu/kernels/attention.h"
#if defined(__AVX512BF16__)
#include "backend/cpu/kernels/attention_bf16.h"
#endif
#include "backend/cpu/kernels/dropout.h"
#include "backend/cpu/kernels/flat.h"
#include "backend/cpu/kernels/gelu.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/loss.h"
#include "backend/cpu/kernels/norm.h"
#include "backend/cpu/kernels/panel_product.h"
#include "backend/cpu/kernels/quantise.h"

namespace barcodemae::cpu {
namespace {

#if defined(__AVX512BF16__)
constexpr auto kAttentionForward = attention_forward_any;
constexpr auto kAttentionBackward = attention_backward_any;
constexpr auto kAttentionForwardScratch = attention_forward_scratch_any;
constexpr auto kAttentionBackwardScratch = attention_backward_scratch_any;
#else
constexpr auto kAttentionForward = attention_forward;
constexpr auto kAttentionBackward = attention_backward;
constexpr auto kAttentionForwardScratch = attention_forward_scratch;
constexpr auto kAttentionBackwardScratch = attention_backward_scratch;
#endif

constexpr Kernels make_table(SimdLevel level) {
  return {.level = level,
          .keep_bits = keep_bits,
          .dropout_rows = dropout_rows,
          .residual_norm_forward = residual_norm_forward,
          .residual_norm_backward = residual_norm_backward,
          .embed_forward = embed_forward,
          .embed_backward = embed_backward,
          .gelu_forward = gelu_forward,
          .gelu_backward = gelu_backward,
          .quantise_rows = quantise_rows,
          .dequantise_rows = dequantise_rows,
          .gelu_int8 = gelu_int8,
          .cross_entropy = cross_entropy,
          .attention_forward = kAttentionForward,
          .attention_backward = kAttentionBackward,
          .attention_forward_scratch = kAttentionForwardScratch,
          .attention_backward_scratch = kAttentionBackwardScratch,
          .add = add,
          .convert = convert,
          .column_sums = column_sums,
          .broadcast_row = broadcast_row,
          .add_rows = add_rows,
          .sum_of_squares = sum_of_squares,
          .adamw = adamw,
          .panels = {.left_rows = kPanelRows,
                     .right_cols = kPanelCols,
                     .multiply = multiply_panels,
                     .pack_left = pack_left_panels,
                     .pack_left_transposed = pack_left_panels_transposed,
                     .pack_right = pack_right_panels,
                     .pack_right_transposed = pack_right_panels_transposed}};
}

}  // namespace
}  // namespace barcodemae::cpu
