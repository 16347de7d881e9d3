// SPDX-License-Identifier: MIT
// Memory of the CUDA backend: device blocks, arrays cut from one block, and the pinned memory
// through which host values reach the device without making the host wait.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "tensor/carver.h"

namespace barcodemae::cuda {

constexpr std::size_t kAlignment = 256;

/// Zeroed on `stream`, 256-byte aligned; null for no bytes. Throws UserError with the number of
/// bytes when the device has less.
void* allocate_memory(std::size_t bytes, cudaStream_t stream);
void release_memory(void* memory);

/// Owns one block of the device's memory.
class Buffer {
 public:
  Buffer() = default;
  Buffer(std::size_t bytes, cudaStream_t stream)
      : data_(allocate_memory(bytes, stream)), bytes_(bytes) {}
  ~Buffer() { release_memory(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&& other) noexcept : data_(other.data_), bytes_(other.bytes_) {
    other.data_ = nullptr;
    other.bytes_ = 0;
  }
  Buffer& operator=(Buffer&& other) noexcept;

  void* data() const { return data_; }
  std::size_t size() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

using Carver = AlignedCarver<kAlignment>;

/// Pinned memory that uploads pass through, in two halves: while the device copies from one, the
/// host fills the other. The host waits only when it is a whole half ahead.
class Staging {
 public:
  Staging();
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  /// destination[0 … bytes − 1] = source's, in the order of the stream; `source` may be reused at
  /// once.
  void upload(void* destination, const void* source, std::size_t bytes, cudaStream_t stream);

 private:
  static constexpr std::size_t kHalf = std::size_t{16} << 20;
  void next_half(cudaStream_t stream);

  std::byte* memory_ = nullptr;  // [2, kHalf]
  cudaEvent_t copied_[2] = {};   // the device has read that half
  int half_ = 0;
  std::size_t used_ = 0;  // of the half
};

}  // namespace barcodemae::cuda
