// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace barcodemae {

/// All bytes of a file; none when it cannot be opened or is a folder. For small files: what reads
/// records streams (sequence/byte_source.h).
std::optional<std::string> file_content(const std::filesystem::path& path);

}  // namespace barcodemae
