// SPDX-License-Identifier: MIT
#include "base/plugin.h"

#include <dlfcn.h>

#include <cstdlib>

#include "base/error.h"

namespace barcodemae {
namespace fs = std::filesystem;

std::vector<fs::path> plugin_places(const char* file, const char* variable) {
  if (const char* chosen = std::getenv(variable); chosen != nullptr && *chosen != '\0') {
    return {chosen};
  }
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return {};
  const fs::path folder = program.parent_path();
  return {folder / file, folder / BARCODEMAE_PLUGIN_FOLDER / file};
}

std::optional<fs::path> find_plugin(const std::vector<fs::path>& places) {
  for (const fs::path& place : places) {
    std::error_code ignored;
    if (fs::exists(place, ignored)) return place;
  }
  return std::nullopt;
}

void* plugin_function(const fs::path& plugin, const char* name, std::string_view advice) {
  // Never unloaded: threads and exit handlers of its libraries may outlive us.
  void* library = ::dlopen(plugin.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw UserError("cannot load {}: {}\n{}", plugin.string(), ::dlerror(), advice);
  }
  void* function = ::dlsym(library, name);
  if (function == nullptr) {
    throw UserError("{} is no plugin of barcodemae\nBuild barcodemae again.", plugin.string());
  }
  return function;
}

}  // namespace barcodemae
