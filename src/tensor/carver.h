// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/view.h"

namespace barcodemae {

/// Cuts one block into arrays that begin at multiples of kAlignment bytes from its begin. Over no
/// memory it only counts, so that an op states its needs and finds its arrays by the same lines.
template <std::size_t kAlignment>
class AlignedCarver {
 public:
  explicit AlignedCarver(void* memory) : memory_(static_cast<std::byte*>(memory)) {}

  template <typename T>
  T* take(std::int64_t count) {
    return static_cast<T*>(take_bytes(static_cast<std::size_t>(count) * sizeof(T)));
  }
  void* take(std::int64_t count, DType type) {
    return take_bytes(static_cast<std::size_t>(count) * size_of(type));
  }
  View take(std::int64_t rows, std::int64_t cols, DType type) {
    return {take(rows * cols, type), rows, cols, type};
  }
  void* take_bytes(std::size_t bytes) {
    void* result = memory_ == nullptr ? nullptr : memory_ + used_;
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return result;
  }
  std::size_t used() const { return used_; }

 private:
  std::byte* memory_;
  std::size_t used_ = 0;
};

}  // namespace barcodemae
