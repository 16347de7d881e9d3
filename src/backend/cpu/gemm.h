// SPDX-License-Identifier: MIT
// Matrix products on one thread each. A row of a product has the same bits wherever it stands and
// whatever stands beside it; sums over rows run in their order. bfloat16 and int8 with AMX run on
// tiles of our own (gemm_amx.h), float32 below AVX-512, and its weight gradients anywhere, on
// panels of our own (gemm_panels.h), the rest on oneDNN.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "tensor/view.h"

namespace barcodemae::cpu {

/// Row counts of multiply() and of gradient operands' blocks are multiples of this.
std::int64_t row_granularity(DType type);

/// Lowers oneDNN's instruction sets to machine().simd. Called before anything else of oneDNN.
void initialise_gemm();

/// False below AVX-512: there are no bfloat16 products.
bool bfloat16_products();

/// False where there is no fast exact sum of int8 products (VNNI): then there are none.
bool int8_products();

/// The right-hand side B [inner, cols] of products, in the layout that suits them.
class WeightMatrix {
 public:
  WeightMatrix(std::int64_t inner, std::int64_t cols, DType type);
  ~WeightMatrix();
  WeightMatrix(WeightMatrix&&) noexcept;
  WeightMatrix& operator=(WeightMatrix&&) noexcept;

  /// Fills it from compact float32: B as it is, or B's transpose [cols, inner]; of int8 the
  /// transpose only, each column of B by a scale of its own. Single-threaded.
  void pack(const float* source, bool transposed);

  /// A rectangle of pack()'s source. It begins at multiples of kPartAlignment and ends at some, or
  /// where the source does.
  struct Part {
    std::int64_t row = 0, rows = 0, col = 0, cols = 0;
  };
  static constexpr std::int64_t kPartAlignment = 32;
  /// Whether a part can be renewed alone, while its values are in a cache.
  bool packs_parts() const;
  void pack_part(const float* source, bool transposed, const Part& part);

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
/// float32. When B is int8, a and c have the type of activations, and each row of a is made int8 by
/// a scale of its own. On the calling thread.
void multiply(void* c, DType c_type, const void* a, std::int64_t rows, const WeightMatrix& b,
              const float* bias);

/// The same for any number of rows.
void multiply_any(void* c, DType c_type, const void* a, std::int64_t rows, const WeightMatrix& b,
                  const float* bias);

/// One side of a weight gradient dyᵀ · x: a matrix [rows, cols] in the layout that sums over its
/// rows want, stored block of rows by block of rows, by any threads.
class GradientOperand {
 public:
  enum class Side { kLeft, kRight };  ///< dy, x

  /// Whether the layout is another one than row-major.
  static bool packed(DType type);
  /// Memory for an operand of so many rows, at most.
  static std::size_t bytes(std::int64_t rows, std::int64_t cols, DType type);

  /// Over memory of bytes(), or, when it is not packed, over a compact matrix that is there.
  GradientOperand(const void* memory, Side side, std::int64_t rows, std::int64_t cols, DType type)
      : memory_(const_cast<void*>(memory)), side_(side), rows_(rows), cols_(cols), type_(type) {}

  /// Where to write the block that begins at `row`: its place here, or `scratch` when it is packed.
  void* place(std::int64_t row, void* scratch) const;
  /// Takes over a block of `rows` rows, filled with zeros to `padded_rows`. Nothing is done when
  /// the block is in its place already (its dead rows are then the caller's).
  void store(std::int64_t row, const void* block, std::int64_t rows,
             std::int64_t padded_rows) const;

  void* memory() const { return memory_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t cols() const { return cols_; }
  DType type() const { return type_; }

 private:
  void* memory_;
  Side side_;
  std::int64_t rows_, cols_;
  DType type_;
};

/// The two products of a feed-forward block with gelu between them, where a tile of the inner rows
/// is finished while it is in L1. Only for types whose gradient operands are packed, and for int8
/// weights.
struct FeedForwardProducts {
  std::int64_t rows = 0;
  DType type = DType::kBFloat16;  ///< of x and out
  void* pre = nullptr;  ///< feed_forward_pre_bytes(); out of forward (or null), in of backward
};
std::size_t feed_forward_pre_bytes(std::int64_t rows, std::int64_t inner);

/// out [rows, H] = gelu(x · W₁ᵀ + bias) · W₂ᵀ
void feed_forward_products(const FeedForwardProducts& products, void* out, const void* x,
                           const WeightMatrix& in_weight, const float* in_bias,
                           const WeightMatrix& out_weight);

/// dx [rows, H] (null: not wanted) = dpre · W₁ with dpre = (dout · W₂) ∘ gelu'(pre). The block at
/// `row` of dpre and of gelu(pre) goes into the operands; in_bias_gradient [F] += sums of dpre.
void feed_forward_gradients(const FeedForwardProducts& products, void* dx, const void* dout,
                            const WeightMatrix& out_weight, const WeightMatrix& in_weight,
                            std::int64_t row, const GradientOperand& dpre,
                            const GradientOperand& hidden, float* in_bias_gradient);

/// gradient [dy cols, x cols] += dyᵀ · x; null: not wanted.
struct WeightGradient {
  float* gradient;
  GradientOperand dy, x;
};

/// All of them, in parallel over tiles of the gradients; each sum runs over the rows in order.
void add_weight_gradients(std::span<const WeightGradient> gradients);

}  // namespace barcodemae::cpu
