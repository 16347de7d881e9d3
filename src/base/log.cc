// SPDX-License-Identifier: MIT
#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

namespace barcodemae {
namespace {

std::atomic<Verbosity> current_verbosity{Verbosity::kNormal};
std::atomic<bool> muted{false};

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>(
        "barcodemae", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%v");
    made->set_level(spdlog::level::trace);
    return made;
  }();
  return *instance;
}

}  // namespace

void set_verbosity(Verbosity verbosity) { current_verbosity = verbosity; }
Verbosity verbosity() { return muted ? Verbosity::kQuiet : current_verbosity.load(); }
void mute_log() { muted = true; }

void log_message(std::string_view message) {
  if (verbosity() != Verbosity::kQuiet) logger().info("{}", message);
}

void log_warning(std::string_view message) {
  if (!muted) logger().warn("warning: {}", message);
}

void log_detail(std::string_view message) {
  if (verbosity() == Verbosity::kVerbose) logger().debug("{}", message);
}

}  // namespace barcodemae
