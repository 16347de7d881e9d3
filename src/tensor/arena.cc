// SPDX-License-Identifier: MIT
#include "tensor/arena.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/progress.h"
#include "tensor/backend.h"

#if defined(__SANITIZE_ADDRESS__)
#define BARCODEMAE_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BARCODEMAE_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef BARCODEMAE_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

namespace barcodemae {
namespace {

// With the address sanitizer, memory of the arena that no block owns must not be touched.
#ifdef BARCODEMAE_ADDRESS_SANITIZER
void forbid(void* memory, std::size_t bytes) { ASAN_POISON_MEMORY_REGION(memory, bytes); }
void permit(void* memory, std::size_t bytes) { ASAN_UNPOISON_MEMORY_REGION(memory, bytes); }
#else
void forbid(void*, std::size_t) {}
void permit(void*, std::size_t) {}
#endif

constexpr std::size_t kAlignment = 64;

std::size_t round_up(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Where blocks pretend to lie while measuring: not null, and no address a process is given.
std::byte* const kNowhere = reinterpret_cast<std::byte*>(std::uintptr_t{1} << 62);

}  // namespace

Arena::~Arena() { give_memory_back(); }

void Arena::give_memory_back() {
  if (memory_ == nullptr) return;
  permit(memory_, capacity_);
  backend_.release(memory_, capacity_);
  memory_ = nullptr;
  capacity_ = 0;
}

void Arena::begin_measuring() {
  rewind();
  measuring_ = true;
}

std::size_t Arena::end_measuring() {
  const std::size_t needed = high_water_;
  measuring_ = false;
  rewind();
  return needed;
}

void Arena::reserve(std::size_t bytes) {
  BARCODEMAE_CHECK(allocated_.empty(), "{} blocks are still in use", allocated_.size());
  bytes = round_up(bytes);
  if (bytes <= capacity_) return;
  give_memory_back();
  const std::size_t available = backend_.available_memory();
  if (bytes > available) {
    throw UserError(
        "The activations of one step need {} of memory, but only {} are free.\n"
        "Use smaller batches: pretrain --micro-batch (gradients accumulate), embed --batch.",
        format_bytes(static_cast<double>(bytes)), format_bytes(static_cast<double>(available)));
  }
  memory_ = static_cast<std::byte*>(backend_.allocate(bytes));
  capacity_ = bytes;
  forbid(memory_, capacity_);
}

Bytes Arena::allocate(std::size_t bytes) {
  if (bytes == 0) return {};
  const std::size_t size = round_up(bytes);
  // Best fit among the holes; only when none is large enough does the arena grow at its end. So the
  // dry run, which has no end, and the real one make the same choices.
  auto hole = free_.end();
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    if (it->second >= size && (hole == free_.end() || it->second < hole->second)) hole = it;
  }
  std::size_t offset = end_;
  if (hole != free_.end()) {
    offset = hole->first;
    const std::size_t rest = hole->second - size;
    free_.erase(hole);
    if (rest > 0) free_.emplace(offset + size, rest);
  } else {
    const std::size_t limit = measuring_ ? std::numeric_limits<std::size_t>::max() / 4 : capacity_;
    BARCODEMAE_CHECK(size <= limit && end_ <= limit - size,
                     "the plan of {} bytes is too small: {} in use, {} asked for", capacity_, end_,
                     size);
    end_ += size;
    high_water_ = std::max(high_water_, end_);
  }
  allocated_.emplace(offset, size);
  if (measuring_) return {kNowhere + offset, bytes};
  permit(memory_ + offset, bytes);
  return {memory_ + offset, bytes};
}

View Arena::allocate(std::int64_t rows, std::int64_t cols, DType dtype) {
  BARCODEMAE_CHECK(rows >= 0 && cols >= 0, "a matrix of {} x {}", rows, cols);
  View view{nullptr, rows, cols, dtype};
  // A matrix without rows has an address too: null means that there is no matrix.
  view.data = allocate(std::max<std::size_t>(view.bytes(), 1)).data;
  return view;
}

void Arena::release(void* block) {
  if (block == nullptr) return;
  const auto address = reinterpret_cast<std::uintptr_t>(block);
  const auto base = reinterpret_cast<std::uintptr_t>(measuring_ ? kNowhere : memory_);
  const auto it = address < base ? allocated_.end() : allocated_.find(address - base);
  BARCODEMAE_CHECK(it != allocated_.end(), "released a block that is not in use");
  std::size_t offset = it->first, size = it->second;
  allocated_.erase(it);
  if (!measuring_) forbid(memory_ + offset, size);
  // Merge with the hole behind, the hole before, and the unused end.
  if (const auto next = free_.find(offset + size); next != free_.end()) {
    size += next->second;
    free_.erase(next);
  }
  if (auto previous = free_.lower_bound(offset); previous != free_.begin()) {
    --previous;
    if (previous->first + previous->second == offset) {
      offset = previous->first;
      size += previous->second;
      free_.erase(previous);
    }
  }
  if (offset + size == end_) {
    end_ = offset;
  } else {
    free_.emplace(offset, size);
  }
}

void Arena::rewind() {
  free_.clear();
  allocated_.clear();
  end_ = 0;
  high_water_ = 0;
  if (memory_ != nullptr) forbid(memory_, capacity_);
}

}  // namespace barcodemae
