// SPDX-License-Identifier: MIT
// oneDNN as our products use it: on the calling thread, scratch memory of ours, primitives kept by
// shape.
#pragma once

#include <compare>
#include <cstdint>
#include <dnnl.hpp>

#include "tensor/view.h"

namespace barcodemae::cpu::onednn {

/// A product as oneDNN is asked for it: c [rows, cols] (+)= a [rows, inner] · b [inner, cols].
struct Shape {
  std::int64_t rows = 0, inner = 0, cols = 0;
  std::int64_t a_stride = 0;  ///< of the transposed a, when it is one
  std::int64_t b_stride = 0, c_stride = 0;
  DType type = DType::kFloat32, c_type = DType::kFloat32;
  bool bias = false;
  bool gradient = false;                           ///< a transposed, b plain, c accumulated
  auto operator<=>(const Shape&) const = default;  // NOLINT(modernize-use-nullptr): misread
};

/// All compact; b in oneDNN's layout.
Shape product_shape(std::int64_t rows, std::int64_t inner, std::int64_t cols, DType type,
                    DType c_type, bool bias);

struct Product {
  dnnl::matmul primitive;
  dnnl::memory::desc a, b, c, bias;
  std::size_t scratch = 0;
};

/// Products made so far are kept: making one takes a fraction of a millisecond, hence few shapes.
const Product& find_product(const Shape& shape);
void execute(const Product& product, void* c, const void* a, const void* b, const float* bias);

/// b from a compact matrix of `type`, or from its transpose.
void reorder(void* b, const dnnl::memory::desc& layout, const void* source, DType type,
             bool transposed);

}  // namespace barcodemae::cpu::onednn
