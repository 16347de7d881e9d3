// SPDX-License-Identifier: MIT
// Memory of the CPU backend: big blocks on huge pages, arrays cut from one block.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/carver.h"
#include "tensor/view.h"

namespace barcodemae::cpu {

constexpr std::size_t kAlignment = 64;

/// Zeroed, 64-byte aligned; blocks of some megabytes lie on huge pages where the system has them.
/// Throws UserError with the number of bytes when there is not enough.
void* allocate_memory(std::size_t bytes);
void release_memory(void* memory, std::size_t bytes);

/// Owns one block of allocate_memory().
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t bytes) : data_(allocate_memory(bytes)), bytes_(bytes) {}
  ~Buffer() { release_memory(data_, bytes_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&& other) noexcept : data_(other.data_), bytes_(other.bytes_) {
    other.data_ = nullptr;
    other.bytes_ = 0;
  }
  Buffer& operator=(Buffer&& other) noexcept;

  /// Makes room for `bytes`; what it held is lost when it grows.
  void* grow(std::size_t bytes);
  void* data() const { return data_; }
  std::size_t size() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

using Carver = AlignedCarver<kAlignment>;

/// memcpy between 16-byte aligned places, for what is not read again soon: it does not pass through
/// the caches.
void copy_past_caches(void* destination, const void* source, std::size_t bytes);

/// The share of one thread in scratch memory whose first `shared` bytes are common to all threads.
Carver thread_share(Bytes scratch, std::size_t shared, int thread);

/// Element `index` of an array of the given type.
inline void* at(void* data, DType type, std::int64_t index) {
  return static_cast<std::byte*>(data) + static_cast<std::size_t>(index) * size_of(type);
}
inline const void* at(const void* data, DType type, std::int64_t index) {
  return static_cast<const std::byte*>(data) + static_cast<std::size_t>(index) * size_of(type);
}

}  // namespace barcodemae::cpu
