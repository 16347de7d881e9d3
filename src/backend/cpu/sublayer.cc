// SPDX-License-Identifier: MIT
#include "backend/cpu/sublayer.h"

#include <cstring>

#include "backend/cpu/cpu_backend.h"

namespace barcodemae::cpu {

void sublayer_forward(const Kernels& kernels, View y, View x, const void* product,
                      const RowBlock& rows, const Segments& segments, const Dropout& dropout,
                      const Parameter& bias, const Parameter& norm_weight,
                      const Parameter& norm_bias, float epsilon, const SublayerSaved* saved,
                      const SublayerScratch& scratch) {
  const std::int64_t width = x.cols;
  ResidualNormForward norm;
  if (dropout.threshold() > 0) {
    KeepBits bits;
    bits.rows = rows.rows;
    bits.cols = width;
    bits.dropout = dropout_stream(dropout);
    expand_records(scratch.records, segments, rows.row, rows.rows);
    bits.records = scratch.records;
    bits.positions = static_cast<const std::int32_t*>(segments.positions.data) + rows.row;
    bits.keep =
        saved != nullptr ? saved->keep + rows.padded_row * keep_stride(width) : scratch.keep;
    kernels.keep_bits(bits);
    norm.keep = bits.keep;
    norm.keep_scale = dropout.scale();
  }
  norm.rows = rows.rows;
  norm.cols = width;
  norm.type = x.dtype;
  norm.product_type = x.dtype;
  norm.y = at(y.data, x.dtype, rows.row * width);
  norm.x = at(x.data, x.dtype, rows.row * width);
  norm.product = product;
  norm.bias = values(bias);
  norm.gamma = values(norm_weight);
  norm.beta = values(norm_bias);
  norm.epsilon = epsilon;
  norm.scratch = scratch.norm;
  if (saved != nullptr) {
    norm.mean = saved->mean + rows.padded_row;
    norm.rstd = saved->rstd + rows.padded_row;
    norm.sum = at(saved->sum, x.dtype, rows.padded_row * width);
  }
  kernels.residual_norm_forward(norm);
}

void sublayer_backward(const Kernels& kernels, View dx, bool accumulate, void* dsum, void* dproduct,
                       View dy, const RowBlock& rows, const Dropout& dropout,
                       const Parameter& norm_weight, const SublayerSaved& saved, float* partial,
                       float* norm_scratch) {
  const std::int64_t width = dy.cols;
  ResidualNormBackward norm;
  norm.rows = rows.rows;
  norm.cols = width;
  norm.type = dy.dtype;
  norm.dy = at(dy.data, dy.dtype, rows.row * width);
  norm.sum = at(saved.sum, dy.dtype, rows.padded_row * width);
  norm.mean = saved.mean + rows.padded_row;
  norm.rstd = saved.rstd + rows.padded_row;
  norm.gamma = values(norm_weight);
  if (dropout.threshold() > 0) {
    norm.keep = saved.keep + rows.padded_row * keep_stride(width);
    norm.keep_scale = dropout.scale();
  }
  const bool wanted = dx.data != nullptr;
  norm.dsum = wanted ? at(dx.data, dx.dtype, rows.row * width) : dsum;
  norm.accumulate = wanted && accumulate;
  norm.dproduct = dproduct;
  norm.dgamma = partial;
  norm.dbeta = partial + width;
  norm.dbias = partial + 2 * width;
  norm.scratch = norm_scratch;
  kernels.residual_norm_backward(norm);
  zero_dead_rows(dproduct, dy.dtype, rows, width);
}

const void* readable_rows(View x, const RowBlock& rows, void* copy) {
  if (rows.row + rows.padded_rows <= x.rows) return at(x.data, x.dtype, rows.row * x.cols);
  copy_rows(copy, x, rows);
  return copy;
}

void copy_rows(void* destination, View x, const RowBlock& rows) {
  std::memcpy(destination, at(x.data, x.dtype, rows.row * x.cols),
              static_cast<std::size_t>(rows.rows * x.cols) * size_of(x.dtype));
  zero_dead_rows(destination, x.dtype, rows, x.cols);
}

void zero_dead_rows(void* data, DType type, const RowBlock& rows, std::int64_t cols) {
  std::memset(at(data, type, rows.rows * cols), 0,
              static_cast<std::size_t>((rows.padded_rows - rows.rows) * cols) * size_of(type));
}

void add_to_rows(const Kernels& kernels, View dx, const void* addend, const RowBlock& rows) {
  void* target = at(dx.data, dx.dtype, rows.row * dx.cols);
  kernels.add(target, target, addend, dx.dtype, rows.rows * dx.cols);
}

void combine_partials(const Kernels& kernels, const float* partial, std::int64_t blocks,
                      std::int64_t stride, std::initializer_list<const Parameter*> parameters) {
  for (const Parameter* parameter : parameters) {
    const std::int64_t size = parameter->value.size();
    if (parameter->gradient.data != nullptr) {
      kernels.column_sums(gradient(*parameter), true, 1, partial, DType::kFloat32, blocks, size,
                          stride);
    }
    partial += size;
  }
}

}  // namespace barcodemae::cpu
