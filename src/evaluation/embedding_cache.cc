// SPDX-License-Identifier: MIT
#include "evaluation/embedding_cache.h"

#include <cstdlib>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/fingerprint.h"
#include "base/log.h"
#include "communication/collectives.h"

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

Matrix EmbeddingCache::get(const std::string& identity, Communicator& communicator,
                           const std::function<Matrix()>& compute) const {
  if (folder_.empty()) return compute();
  Fingerprint name;
  name.add(identity);
  const fs::path file = folder_ / (name.hex() + ".npy");
  std::optional<Matrix> cached;
  if (communicator.rank() == 0) cached = find(file);
  if (!from_root(communicator, cached.has_value())) {
    Matrix matrix = compute();
    if (communicator.rank() == 0) keep(file, matrix);
    return matrix;
  }
  if (!cached) cached.emplace();
  cached->rows = from_root(communicator, cached->rows);
  cached->cols = from_root(communicator, cached->cols);
  cached->values.resize(static_cast<std::size_t>(cached->rows * cached->cols));
  communicator.broadcast(cached->values.data(), cached->values.size() * sizeof(float));
  return std::move(*cached);
}

std::optional<Matrix> EmbeddingCache::find(const fs::path& file) const {
  std::error_code error;
  if (!fs::exists(file, error)) return std::nullopt;
  try {
    Matrix cached = read_npy(file);
    log_info("Embeddings taken from the cache: {}", file.string());
    return cached;
  } catch (const UserError& damaged) {
    log_warn("{}; computing these embeddings again", damaged.what());
    return std::nullopt;
  }
}

void EmbeddingCache::keep(const fs::path& file, const Matrix& matrix) const {
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
}

}  // namespace barcodemae
