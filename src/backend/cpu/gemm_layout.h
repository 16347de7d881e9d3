// SPDX-License-Identifier: MIT
// What the files behind gemm.h share.
#pragma once

#include <cstdint>
#include <dnnl.hpp>

#include "backend/cpu/gemm.h"
#include "backend/cpu/gemm_amx.h"
#include "backend/cpu/memory.h"
#include "base/machine.h"

namespace barcodemae::cpu {

struct WeightMatrix::Layout {
  dnnl::memory::desc description;  ///< oneDNN's; in layouts of our own there is none
  Buffer data;
  Buffer scales;  ///< of int8: float [cols]

  const float* column_scales() const { return static_cast<const float*>(scales.data()); }
};

/// Whether products of this type run on AMX tiles of our own.
inline bool on_tiles(DType type) {
  return (type == DType::kBFloat16 || type == DType::kInt8) && machine().simd >= SimdLevel::kAmx;
}

/// Whether they run on float32 panels of our own.
inline bool in_panels(DType type) {
  return type == DType::kFloat32 && machine().simd < SimdLevel::kAvx512;
}

inline const std::uint16_t* bfloat16(const void* data) {
  return static_cast<const std::uint16_t*>(data);
}
inline std::uint16_t* bfloat16(void* data) { return static_cast<std::uint16_t*>(data); }

/// Memory of `buffer` for so many elements; what it held is lost when it grows.
template <typename T>
T* grow(Buffer& buffer, std::int64_t count) {
  return static_cast<T*>(buffer.grow(static_cast<std::size_t>(count) * sizeof(T)));
}

/// The bfloat16 left side of rows of a compact matrix, until this thread asks again.
const std::uint16_t* packed_left(const void* a, std::int64_t rows, std::int64_t inner);
/// Of a bfloat16 product on tiles: both sides and scratch.
amx::Product product_on_tiles(const std::uint16_t* left, std::int64_t rows, const WeightMatrix& b);
/// Scratch of a product on tiles, this thread's.
float* tile_scratch(std::int64_t cols, std::int64_t inner);

/// int8: WeightMatrix and multiply() of that type, for any number of rows of floats.
void pack_int8(WeightMatrix::Layout& layout, std::int64_t inner, std::int64_t cols,
               const float* source);
void multiply_int8(void* c, DType c_type, const void* a, DType a_type, std::int64_t rows,
                   const WeightMatrix& b, const float* bias);
void feed_forward_int8(void* out, const void* x, DType type, std::int64_t rows,
                       const WeightMatrix& in_weight, const float* in_bias,
                       const WeightMatrix& out_weight);

}  // namespace barcodemae::cpu
