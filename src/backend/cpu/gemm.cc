// SPDX-License-Identifier: MIT
#include "backend/cpu/gemm.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/gemm_amx_int8.h"
#include "backend/cpu/gemm_layout.h"
#include "backend/cpu/gemm_panels.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/row_blocks.h"
#include "base/error.h"

namespace barcodemae::cpu {

bool bfloat16_products() { return machine().simd >= SimdLevel::kAvx512; }

bool int8_products() { return machine().simd >= SimdLevel::kAvx512Bf16; }

float* tile_scratch(std::int64_t cols, std::int64_t inner) {
  static thread_local Buffer scratch;
  return grow<float>(scratch, amx::scratch_floats(cols, inner));
}

// oneDNN's kernels for whole and partial tiles of rows sum alike, with AVX-512.
std::int64_t row_granularity(DType type) {
  if (on_tiles(type)) return amx::kBlock;
  return in_panels(type) ? 1 : 16;
}

WeightMatrix::WeightMatrix(std::int64_t inner, std::int64_t cols, DType type)
    : inner_(inner), cols_(cols), type_(type), layout_(std::make_unique<Layout>()) {
  if (type == DType::kInt8)
    layout_->scales = Buffer(static_cast<std::size_t>(cols) * sizeof(float));
  if (on_tiles(type)) {
    layout_->data =
        Buffer(type == DType::kInt8 ? amx::int8_packed_bytes(cols, inner)
                                    : static_cast<std::size_t>(amx::packed_elements(cols, inner)) *
                                          sizeof(std::uint16_t));
    return;
  }
  if (in_panels(type)) {
    layout_->data =
        Buffer(static_cast<std::size_t>(panels::right_floats(inner, cols)) * sizeof(float));
    return;
  }
  // The layout depends on inner and cols alone; multiply() checks that.
  layout_->description =
      onednn::find_product(onednn::product_shape(kBlockRows, inner, cols, type,
                                                 type == DType::kInt8 ? DType::kInt32 : type,
                                                 false))
          .b;
  layout_->data = Buffer(layout_->description.get_size());
}
WeightMatrix::~WeightMatrix() = default;
WeightMatrix::WeightMatrix(WeightMatrix&&) noexcept = default;
WeightMatrix& WeightMatrix::operator=(WeightMatrix&&) noexcept = default;

void WeightMatrix::pack(const float* source, bool transposed) {
  if (type_ == DType::kInt8) {
    BARCODEMAE_CHECK(transposed, "int8 weights are used forwards only");
    pack_int8(*layout_, inner_, cols_, source);
  } else if (on_tiles(type_)) {
    amx::pack_right(bfloat16(layout_->data.data()), {source, inner_, cols_, transposed},
                    {0, inner_}, {0, cols_});
  } else if (in_panels(type_)) {
    panels::pack_right(static_cast<float*>(layout_->data.data()), source, inner_, cols_,
                       transposed);
  } else {
    onednn::reorder(layout_->data.data(), layout_->description, source, DType::kFloat32,
                    transposed);
  }
}

bool WeightMatrix::packs_parts() const { return type_ == DType::kBFloat16 && on_tiles(type_); }

void WeightMatrix::pack_part(const float* source, bool transposed, const Part& part) {
  BARCODEMAE_CHECK(packs_parts(), "{} by parts", to_string(type_));
  const amx::Range rows{part.row, part.row + part.rows}, cols{part.col, part.col + part.cols};
  amx::pack_right(bfloat16(layout_->data.data()), {source, inner_, cols_, transposed},
                  transposed ? cols : rows, transposed ? rows : cols);
}

void multiply(void* c, DType c_type, const void* a, std::int64_t rows, const WeightMatrix& b,
              const float* bias) {
  if (b.type() == DType::kInt8 || on_tiles(b.type())) {
    multiply_any(c, c_type, a, rows, b, bias);
    return;
  }
  if (in_panels(b.type())) {
    panels::multiply(static_cast<float*>(c), static_cast<const float*>(a), rows, b.inner(),
                     b.cols(), static_cast<const float*>(b.layout().data.data()), bias);
    return;
  }
  BARCODEMAE_CHECK(rows % row_granularity(b.type()) == 0, "{} rows", rows);
  for (std::int64_t row = 0; row < rows; row += kBlockRows) {
    const std::int64_t count = std::min(kBlockRows, rows - row);
    const onednn::Product& product = onednn::find_product(
        onednn::product_shape(count, b.inner(), b.cols(), b.type(), c_type, bias != nullptr));
    BARCODEMAE_CHECK(product.b == b.layout().description, "oneDNN changed its layout for {} rows",
                     count);
    onednn::execute(product, at(c, c_type, row * b.cols()), at(a, b.type(), row * b.inner()),
                    b.layout().data.data(), bias);
  }
}

const std::uint16_t* packed_left(const void* a, std::int64_t rows, std::int64_t inner) {
  static thread_local Buffer left;
  auto* packed = grow<std::uint16_t>(left, amx::packed_elements(amx::kCallRows, inner));
  amx::pack_left(packed, bfloat16(a), rows, inner);
  return packed;
}

amx::Product product_on_tiles(const std::uint16_t* left, std::int64_t rows, const WeightMatrix& b) {
  amx::Product product;
  product.left = left;
  product.right = bfloat16(b.layout().data.data());
  product.rows = rows;
  product.cols = b.cols();
  product.inner = b.inner();
  product.scratch = tile_scratch(b.cols(), b.inner());
  return product;
}

namespace {

void multiply_on_tiles(void* c, DType c_type, const void* a, std::int64_t rows,
                       const WeightMatrix& b, const float* bias) {
  for (std::int64_t row = 0; row < rows; row += amx::kCallRows) {
    const std::int64_t count = std::min(amx::kCallRows, rows - row);
    amx::Product product =
        product_on_tiles(packed_left(bfloat16(a) + row * b.inner(), count, b.inner()), count, b);
    product.bias = bias;
    product.c = at(c, c_type, row * b.cols());
    product.c_stride = b.cols();
    product.float32 = c_type == DType::kFloat32;
    amx::multiply(product);
  }
}

}  // namespace

void multiply_any(void* c, DType c_type, const void* a, std::int64_t rows, const WeightMatrix& b,
                  const float* bias) {
  if (b.type() == DType::kInt8) {
    multiply_int8(c, c_type, a, c_type, rows, b, bias);
    return;
  }
  if (on_tiles(b.type())) {
    multiply_on_tiles(c, c_type, a, rows, b, bias);
    return;
  }
  const std::int64_t granularity = row_granularity(b.type());
  const std::int64_t round = rows / granularity * granularity, rest = rows - round;
  multiply(c, c_type, a, round, b, bias);
  if (rest == 0) return;
  static thread_local Buffer padded;
  const auto bytes = [](std::int64_t count, DType type) {
    return static_cast<std::size_t>(count) * size_of(type);
  };
  const std::size_t a_bytes = bytes(granularity * b.inner(), b.type());
  auto* a_rows = static_cast<std::byte*>(
      padded.grow(a_bytes + bytes(granularity * b.cols(), c_type) + kAlignment));
  std::byte* c_rows = a_rows + (a_bytes + kAlignment - 1) / kAlignment * kAlignment;
  const std::size_t used = bytes(rest * b.inner(), b.type());
  std::memcpy(a_rows, at(a, b.type(), round * b.inner()), used);
  std::memset(a_rows + used, 0, a_bytes - used);
  multiply(c_rows, c_type, a_rows, granularity, b, bias);
  std::memcpy(at(c, c_type, round * b.cols()), c_rows, bytes(rest * b.cols(), c_type));
}

}  // namespace barcodemae::cpu
