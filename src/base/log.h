// SPDX-License-Identifier: MIT
// Messages to standard error; standard output belongs to results.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace barcodemae {

enum class Verbosity { kQuiet, kNormal, kVerbose };
void set_verbosity(Verbosity verbosity);
Verbosity verbosity();

/// From now on this process says nothing at all: another process of the job speaks for it.
void mute_log();

void log_message(std::string_view message);  ///< shown unless --quiet
void log_warning(std::string_view message);  ///< always shown, prefixed "warning: "
void log_detail(std::string_view message);   ///< shown with --verbose

template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_message(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_warn(fmt::format_string<Args...> format, Args&&... args) {
  log_warning(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  if (verbosity() == Verbosity::kVerbose)
    log_detail(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace barcodemae
