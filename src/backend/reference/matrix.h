// SPDX-License-Identifier: MIT
// Typed views and memory pieces for the reference kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/error.h"
#include "tensor/view.h"

namespace barcodemae::reference {

/// A row-major matrix of known type; owns nothing.
template <typename T>
struct Matrix {
  T* data = nullptr;
  std::int64_t rows = 0, cols = 0;

  T* operator[](std::int64_t row) const { return data + row * cols; }
  std::int64_t size() const { return rows * cols; }
  operator Matrix<const T>() const { return {data, rows, cols}; }
};

/// A kernel's input. Not deduced, so that matrices to write and to read can both be passed.
template <typename T>
using Input = std::type_identity_t<Matrix<const T>>;

template <typename T>
constexpr DType dtype_of() {
  if constexpr (std::is_const_v<T>) {
    return dtype_of<std::remove_const_t<T>>();
  } else if constexpr (std::is_same_v<T, double>) {
    return DType::kFloat64;
  } else if constexpr (std::is_same_v<T, float>) {
    return DType::kFloat32;
  } else {
    static_assert(std::is_same_v<T, std::int32_t>);
    return DType::kInt32;
  }
}

template <typename T>
Matrix<T> typed(View view) {
  BARCODEMAE_CHECK(view.data == nullptr || view.dtype == dtype_of<T>(), "a {} where {} is expected",
                   to_string(view.dtype), to_string(dtype_of<T>()));
  return {static_cast<T*>(view.data), view.rows, view.cols};
}

/// Calls `body` with a value of the C++ type that `dtype` names.
template <typename Body>
auto with_type(DType dtype, Body&& body) {
  BARCODEMAE_CHECK(dtype == DType::kFloat32 || dtype == DType::kFloat64,
                   "the reference backend computes in float32 or float64, not in {}",
                   to_string(dtype));
  return dtype == DType::kFloat64 ? body(double{}) : body(float{});
}

/// Cuts memory into matrices, or, without memory, counts how much they take.
class Workspace {
 public:
  Workspace() = default;
  explicit Workspace(Bytes memory) : memory_(memory) {}

  template <typename T>
  Matrix<T> matrix(std::int64_t rows, std::int64_t cols) {
    const std::size_t offset = used_;
    used_ += static_cast<std::size_t>(rows * cols) * sizeof(T);
    if (memory_.data == nullptr) return {nullptr, rows, cols};
    BARCODEMAE_CHECK(used_ <= memory_.size, "{} bytes given, {} needed", memory_.size, used_);
    // T is float or double throughout one workspace, so every piece is aligned.
    return {reinterpret_cast<T*>(static_cast<std::byte*>(memory_.data) + offset), rows, cols};
  }
  std::size_t used() const { return used_; }

 private:
  Bytes memory_;
  std::size_t used_ = 0;
};

}  // namespace barcodemae::reference
