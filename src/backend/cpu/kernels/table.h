// SPDX-License-Identifier: MIT
// The kernels of the including file's instruction set as a table.
#pragma once

#include "backend/cpu/kernels/attention.h"
#include "backend/cpu/kernels/dropout.h"
#include "backend/cpu/kernels/flat.h"
#include "backend/cpu/kernels/gelu.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/loss.h"
#include "backend/cpu/kernels/norm.h"

namespace barcodemae::cpu {
namespace {

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
          .cross_entropy = cross_entropy,
          .attention_forward = attention_forward,
          .attention_backward = attention_backward,
          .attention_forward_scratch = attention_forward_scratch,
          .attention_backward_scratch = attention_backward_scratch,
          .add = add,
          .convert = convert,
          .column_sums = column_sums,
          .broadcast_row = broadcast_row,
          .add_rows = add_rows,
          .sum_of_squares = sum_of_squares,
          .adamw = adamw};
}

}  // namespace
}  // namespace barcodemae::cpu
