// SPDX-License-Identifier: MIT
// Parts of the program that need libraries which not every machine has. Each is a file
// libbarcodemae_NAME.so with one versioned function, loaded only when it is asked for.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

namespace barcodemae {

/// Where the plugin `file` is looked for, in this order: $`variable` alone when it is set; beside
/// the program; in the lib folder of its installation.
std::vector<std::filesystem::path> plugin_places(const char* file, const char* variable);

/// The first of them that exists.
std::optional<std::filesystem::path> find_plugin(const std::vector<std::filesystem::path>& places);

/// Loads a plugin for good and returns the function that it exports as extern "C" under `name`.
/// Throws UserError when it cannot be loaded, followed by `advice`, or has no such function.
void* plugin_function(const std::filesystem::path& plugin, const char* name,
                      std::string_view advice);

}  // namespace barcodemae
