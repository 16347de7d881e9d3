// SPDX-License-Identifier: MIT
// 128-bit content hashes (XXH3), for caches and for recognising data and models; not for security.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace barcodemae {

class Fingerprint {
 public:
  Fingerprint();
  ~Fingerprint();
  Fingerprint(const Fingerprint&) = delete;
  Fingerprint& operator=(const Fingerprint&) = delete;

  void add(const void* data, std::size_t bytes);
  void add(std::string_view text) { add(text.data(), text.size()); }
  /// 32 hexadecimal digits of what was added so far.
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The same as two numbers, at once: for tables of many short texts.
struct Hash128 {
  std::uint64_t low = 0, high = 0;
  bool operator==(const Hash128& other) const = default;
  bool operator<(const Hash128& other) const {
    return low < other.low || (low == other.low && high < other.high);
  }
};
Hash128 hash_128(std::string_view text);

/// Of a file's bytes. Throws UserError when it cannot be read.
std::string fingerprint_file(const std::filesystem::path& path);

}  // namespace barcodemae
