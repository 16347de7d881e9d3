// SPDX-License-Identifier: MIT
// What control groups (containers, batch systems) leave to this process.
#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>

namespace barcodemae {

struct CgroupLimits {
  static constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();
  double cores = std::numeric_limits<double>::infinity();
  std::size_t memory_bytes = kNoLimit;
  std::size_t free_memory_bytes = kNoLimit;  ///< cached files count as free: they give way
};

/// The tightest limits among this process's groups and the groups around them, of versions 1 and 2.
/// `root` holds proc/self/cgroup and sys/fs/cgroup (tests).
CgroupLimits read_cgroup_limits(const std::filesystem::path& root = "/");

}  // namespace barcodemae
