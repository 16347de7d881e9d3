// SPDX-License-Identifier: MIT
// What the engine asks of a job's processes, in terms of a Communicator's few calls. Like those,
// every function here is collective.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "communication/communicator.h"

namespace barcodemae {

/// A contiguous part of 0 … count − 1.
struct Share {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
};
/// What a rank does of `count` things: all ranks' shares, in order, are all of them, and their
/// sizes differ by one at most. (Not collective.)
Share share_of(std::int64_t count, int rank, int size);
inline Share share_of(std::int64_t count, const Communicator& communicator) {
  return share_of(count, communicator.rank(), communicator.size());
}
/// The size of the largest share. (Not collective.)
std::int64_t largest_share(std::int64_t count, const Communicator& communicator);

/// Whether `value` is true in any process.
bool any(Communicator& communicator, bool value);

/// Rank 0's value.
template <typename Value>
Value from_root(Communicator& communicator, Value value) {
  static_assert(std::is_trivially_copyable_v<Value>);
  communicator.broadcast(&value, sizeof(value));
  return value;
}
std::string text_from_root(Communicator& communicator, std::string text);

/// Throws the same UserError in all processes when they do not have the same `text`: "the processes
/// differ in {what}: …", then `advice`.
void require_same(Communicator& communicator, std::string_view what, const std::string& text,
                  std::string_view advice);

/// At rank 0, the values of all ranks one after the other; elsewhere nothing.
template <typename Value>
std::vector<Value> concatenate_at_root(Communicator& communicator, std::span<const Value> part) {
  static_assert(std::is_trivially_copyable_v<Value>);
  std::vector<Value> whole;
  for (const std::vector<std::byte>& bytes : communicator.gather(std::as_bytes(part))) {
    const std::size_t before = whole.size();
    whole.resize(before + bytes.size() / sizeof(Value));
    if (!bytes.empty()) std::memcpy(whole.data() + before, bytes.data(), bytes.size());
  }
  return whole;
}

/// The same in all processes.
template <typename Value>
std::vector<Value> concatenate(Communicator& communicator, std::span<const Value> part) {
  std::vector<Value> whole = concatenate_at_root(communicator, part);
  whole.resize(from_root(communicator, whole.size()));
  communicator.broadcast(whole.data(), whole.size() * sizeof(Value));
  return whole;
}

/// A rank's share of a list.
template <typename Value>
std::span<const Value> share_of(std::span<const Value> list, const Communicator& communicator) {
  const Share share = share_of(static_cast<std::int64_t>(list.size()), communicator);
  return list.subspan(static_cast<std::size_t>(share.begin),
                      static_cast<std::size_t>(share.size()));
}

}  // namespace barcodemae
