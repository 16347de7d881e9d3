// SPDX-License-Identifier: MIT
// One block of memory for all activations of a step, planned before the first step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "tensor/view.h"

namespace barcodemae {

class Backend;

/// First a dry run in measuring mode counts what a worst-case step needs (no memory, no kernels);
/// then reserve() takes that much, once. Blocks given back early are reused (best fit), so
/// gradients of activations need only as much as are alive at a time.
class Arena {
 public:
  explicit Arena(Backend& backend) : backend_(backend) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Starts counting: allocations return addresses that must not be used.
  void begin_measuring();
  /// Ends counting, forgets all blocks, and returns the bytes that the dry run would have needed.
  std::size_t end_measuring();
  bool measuring() const { return measuring_; }

  /// Takes memory; throws UserError with both numbers when the machine has less. Larger
  /// reservations replace smaller ones; smaller ones are ignored.
  void reserve(std::size_t bytes);
  std::size_t capacity() const { return capacity_; }
  /// Bytes needed since the last rewind.
  std::size_t high_water() const { return high_water_; }

  /// 64-byte aligned, not zeroed; null for no bytes. Throws InternalError when the plan was too
  /// small.
  Bytes allocate(std::size_t bytes);
  /// Never null, even without rows.
  View allocate(std::int64_t rows, std::int64_t cols, DType dtype);
  /// Gives one block back before the rewind. Null is fine.
  void release(void* block);
  /// Forgets all blocks.
  void rewind();

 private:
  void give_memory_back();

  Backend& backend_;
  std::byte* memory_ = nullptr;
  std::size_t capacity_ = 0, high_water_ = 0;
  std::size_t end_ = 0;  // everything from here on is unused
  bool measuring_ = false;
  std::map<std::size_t, std::size_t> free_;       // holes below end_: offset → size
  std::map<std::size_t, std::size_t> allocated_;  // offset → size
};

}  // namespace barcodemae
