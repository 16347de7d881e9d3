// SPDX-License-Identifier: MIT
#include "evaluation/embedding_cache.h"

#include <cstdlib>
#include <system_error>

#include "base/error.h"
#include "base/fingerprint.h"
#include "base/log.h"

namespace barcodemae {
namespace fs = std::filesystem;

fs::path EmbeddingCache::default_folder() {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  if (const std::string folder = variable("BARCODEMAE_CACHE"); !folder.empty()) return folder;
  if (const std::string base = variable("XDG_CACHE_HOME"); !base.empty()) {
    return fs::path(base) / "barcodemae";
  }
  if (const std::string home = variable("HOME"); !home.empty()) {
    return fs::path(home) / ".cache" / "barcodemae";
  }
  return {};
}

Matrix EmbeddingCache::get(const std::string& identity,
                           const std::function<Matrix()>& compute) const {
  if (folder_.empty()) return compute();
  Fingerprint name;
  name.add(identity);
  const fs::path file = folder_ / (name.hex() + ".npy");
  std::error_code error;
  if (fs::exists(file, error)) {
    try {
      Matrix cached = read_npy(file);
      log_info("Embeddings taken from the cache: {}", file.string());
      return cached;
    } catch (const UserError& damaged) {
      log_warn("{}; computing these embeddings again", damaged.what());
    }
  }
  Matrix matrix = compute();
  try {
    fs::create_directories(folder_);
    write_npy(file, matrix);
    log_info("Embeddings kept for the next time: {} ({:.0f} MB)", file.string(),
             static_cast<double>(matrix.values.size() * sizeof(float)) / 1e6);
  } catch (const fs::filesystem_error& failure) {
    log_warn("embeddings were not cached: {}", failure.what());
  } catch (const UserError& failure) {
    log_warn("embeddings were not cached: {}", failure.what());
  }
  return matrix;
}

}  // namespace barcodemae
