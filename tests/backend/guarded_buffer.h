// SPDX-License-Identifier: MIT
// Backend memory between two sentinels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tensor/backend.h"

namespace barcodemae::test {

/// Memory of exactly `bytes` bytes that begins as poison (NaN in every floating-point type, an
/// impossible index as int32), so that a kernel that reads what it has not written is found out,
/// and lies between sentinels, so that one that writes beyond its end is, too.
class GuardedBuffer {
 public:
  GuardedBuffer(Backend& backend, std::size_t bytes);
  ~GuardedBuffer();
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  void* data() const { return static_cast<std::byte*>(memory_) + kGuard; }  ///< 64-byte aligned
  Bytes bytes() const { return {data(), size_}; }
  View view(std::int64_t rows, std::int64_t cols, DType dtype) const {
    return {data(), rows, cols, dtype};
  }
  bool sentinels_intact() const;

 private:
  static constexpr std::size_t kGuard = 1024;
  View everything() const;

  Backend& backend_;
  std::size_t size_;
  void* memory_ = nullptr;
};

/// Host numbers to a view of any floating-point type (rounded to nearest even), and back.
void upload(Backend& backend, View destination, const std::vector<double>& values);
std::vector<double> download(const Backend& backend, View source);

/// The bfloat16 nearest to a value.
double round_to_bfloat16(double value);

}  // namespace barcodemae::test
