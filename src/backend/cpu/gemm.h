// SPDX-License-Identifier: MIT
// Matrix products on one thread each, with the full inner dimension in one call. A row of a product
// has the same bits wherever it stands and whatever stands beside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "tensor/view.h"

namespace barcodemae::cpu {

/// Row counts of multiply() are multiples of this.
std::int64_t row_granularity();

/// Lowers oneDNN's instruction sets to machine().simd. Called before anything else of oneDNN.
void initialise_gemm();

/// False below AVX-512: there are no bfloat16 products.
bool bfloat16_products();

/// The right-hand side B [inner, cols] of products, in the layout that suits them.
class WeightMatrix {
 public:
  WeightMatrix(std::int64_t inner, std::int64_t cols, DType type);
  ~WeightMatrix();
  WeightMatrix(WeightMatrix&&) noexcept;
  WeightMatrix& operator=(WeightMatrix&&) noexcept;

  /// Fills it from compact float32: B as it is, or B's transpose [cols, inner]. Single-threaded.
  void pack(const float* source, bool transposed);

  std::int64_t inner() const { return inner_; }
  std::int64_t cols() const { return cols_; }
  DType type() const { return type_; }
  struct Layout;
  const Layout& layout() const { return *layout_; }

 private:
  std::int64_t inner_, cols_;
  DType type_;
  std::unique_ptr<Layout> layout_;
};

/// c [rows, cols] = a [rows, inner] · B (+ bias [cols]); compact; `a` has B's type, c B's or
/// float32. On the calling thread.
void multiply(void* c, DType c_type, const void* a, std::int64_t rows, const WeightMatrix& b,
              const float* bias);

/// The same for any number of rows.
void multiply_any(void* c, DType c_type, const void* a, std::int64_t rows, const WeightMatrix& b,
                  const float* bias);

/// gradient [dy_cols, x_cols] += dyᵀ [dy_cols, rows] · x [rows, x_cols]; null: not wanted.
struct WeightGradient {
  float* gradient = nullptr;
  const void* dy = nullptr;
  std::int64_t dy_cols = 0;
  const void* x = nullptr;
  std::int64_t x_cols = 0;
  std::int64_t rows = 0;
  DType type = DType::kFloat32;  ///< of dy and x
};

/// All of them, in parallel over fixed tiles of the gradients; each sum runs over the rows in
/// order.
void add_weight_gradients(std::span<const WeightGradient> gradients);

}  // namespace barcodemae::cpu
