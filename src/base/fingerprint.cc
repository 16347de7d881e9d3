// SPDX-License-Identifier: MIT
#include "base/fingerprint.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <fstream>
#include <vector>

#include "base/error.h"

namespace barcodemae {

struct Fingerprint::State {
  XXH3_state_t* hash = XXH3_createState();
  ~State() { XXH3_freeState(hash); }
};

Fingerprint::Fingerprint() : state_(std::make_unique<State>()) { XXH3_128bits_reset(state_->hash); }
Fingerprint::~Fingerprint() = default;

void Fingerprint::add(const void* data, std::size_t bytes) {
  if (bytes > 0) XXH3_128bits_update(state_->hash, data, bytes);
}

std::string Fingerprint::hex() const {
  const XXH128_hash_t digest = XXH3_128bits_digest(state_->hash);
  return fmt::format("{:016x}{:016x}", digest.high64, digest.low64);
}

Hash128 hash_128(std::string_view text) {
  const XXH128_hash_t digest = XXH3_128bits(text.data(), text.size());
  return {digest.low64, digest.high64};
}

std::string fingerprint_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw UserError("cannot read {}\nCheck the path and its permissions.", path.string());
  Fingerprint fingerprint;
  std::vector<char> block(std::size_t{1} << 20);
  while (file) {
    file.read(block.data(), static_cast<std::streamsize>(block.size()));
    fingerprint.add(block.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) throw UserError("cannot read {} to its end", path.string());
  return fingerprint.hex();
}

}  // namespace barcodemae
