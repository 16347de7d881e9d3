// SPDX-License-Identifier: MIT
// 128-bit content hashes (XXH3), for caches and for recognising data and models; not for security.
#pragma once

#include <cstddef>
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

/// Of a file's bytes. Throws UserError when it cannot be read.
std::string fingerprint_file(const std::filesystem::path& path);

}  // namespace barcodemae
