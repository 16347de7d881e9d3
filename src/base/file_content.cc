// SPDX-License-Identifier: MIT
#include "base/file_content.h"

#include <fstream>
#include <iterator>

namespace barcodemae {

std::optional<std::string> file_content(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::error_code ignored;
  if (!stream || std::filesystem::is_directory(path, ignored)) return std::nullopt;
  return std::string{std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace barcodemae
