// SPDX-License-Identifier: MIT
#include "backend/cpu/memory.h"

#include <sys/mman.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/machine.h"
#include "base/progress.h"
#include "base/threads.h"

namespace barcodemae::cpu {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
// Below this a block is not worth pages of its own.
constexpr std::size_t kMapped = 2 * kHugePage;

std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

[[noreturn]] void not_enough(std::size_t bytes) {
  throw UserError(
      "{} bytes ({}) of memory are needed at once, but only {} are free.\n"
      "Use smaller batches (pretrain --micro-batch, embed --batch), a smaller model, or a machine "
      "with more memory.",
      bytes, format_bytes(static_cast<double>(bytes)),
      format_bytes(static_cast<double>(available_memory_bytes())));
}

}  // namespace

void* allocate_memory(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  if (bytes < kMapped) {
    const std::size_t rounded = round_up(bytes, kAlignment);
    void* memory = std::aligned_alloc(kAlignment, rounded);
    if (memory == nullptr) not_enough(bytes);
    return std::memset(memory, 0, rounded);
  }
  // Pages are given when first touched, so a lack of memory must be found before.
  if (bytes > available_memory_bytes()) not_enough(bytes);
  // Take one huge page more and give the misaligned ends back.
  const std::size_t rounded = round_up(bytes, kHugePage);
  void* mapped = mmap(nullptr, rounded + kHugePage, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) not_enough(bytes);
  auto* begin = static_cast<std::byte*>(mapped);
  const std::size_t head =
      (kHugePage - reinterpret_cast<std::uintptr_t>(begin) % kHugePage) % kHugePage;
  if (head > 0) munmap(begin, head);
  if (head < kHugePage) munmap(begin + head + rounded, kHugePage - head);
  madvise(begin + head, rounded, MADV_HUGEPAGE);  // a refusal costs speed alone
  return begin + head;
}

void release_memory(void* memory, std::size_t bytes) {
  if (memory == nullptr) return;
  if (bytes < kMapped) {
    std::free(memory);
  } else {
    munmap(memory, round_up(bytes, kHugePage));
  }
}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void* Buffer::grow(std::size_t bytes) {
  if (bytes > bytes_) *this = Buffer(bytes);
  return data_;
}

void copy_past_caches(void* destination, const void* source, std::size_t bytes) {
#if defined(__SSE2__)
  auto* to = static_cast<__m128i*>(destination);
  const auto* from = static_cast<const __m128i*>(source);
  for (; bytes >= sizeof(__m128i); bytes -= sizeof(__m128i)) {
    _mm_stream_si128(to++, _mm_load_si128(from++));
  }
  std::memcpy(to, from, bytes);
  _mm_sfence();
#else
  std::memcpy(destination, source, bytes);
#endif
}

Carver thread_share(Bytes scratch, std::size_t shared, int thread) {
  const auto threads = static_cast<std::size_t>(thread_count());
  const std::size_t share = (scratch.size - shared) / threads / kAlignment * kAlignment;
  return Carver(static_cast<std::byte*>(scratch.data) + shared +
                share * static_cast<std::size_t>(thread));
}

}  // namespace barcodemae::cpu
