// SPDX-License-Identifier: MIT
#include "base/cgroup.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

namespace barcodemae {
namespace fs = std::filesystem;

namespace {

std::string read_first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// nullopt: no such file, or "max".
std::optional<std::size_t> read_bytes(const fs::path& path) {
  const std::string line = read_first_line(path);
  if (line.empty() || line == "max") return std::nullopt;
  return static_cast<std::size_t>(std::strtoull(line.c_str(), nullptr, 10));
}

/// A value of a "name 12345" table; 0 when it is not there.
std::size_t read_entry(const fs::path& path, const std::string& name) {
  std::ifstream file(path);
  std::string key;
  for (std::size_t value = 0; file >> key >> value;) {
    if (key == name) return value;
  }
  return 0;
}

void limit_cores(CgroupLimits& limits, double quota, double period) {
  if (quota > 0 && period > 0) limits.cores = std::min(limits.cores, quota / period);
}

struct MemoryFiles {
  const char *limit, *used, *cached;
};

void limit_memory(CgroupLimits& limits, const fs::path& group, const MemoryFiles& files) {
  const std::optional<std::size_t> limit = read_bytes(group / files.limit);
  if (!limit) return;
  limits.memory_bytes = std::min(limits.memory_bytes, *limit);
  std::size_t used = read_bytes(group / files.used).value_or(0);
  used -= std::min(used, read_entry(group / "memory.stat", files.cached));
  limits.free_memory_bytes = std::min(limits.free_memory_bytes, *limit > used ? *limit - used : 0);
}

void apply_v2(CgroupLimits& limits, const fs::path& group) {
  std::istringstream cpu(read_first_line(group / "cpu.max"));  // "200000 100000" or "max 100000"
  double quota = 0, period = 0;
  if (cpu >> quota >> period) limit_cores(limits, quota, period);
  limit_memory(limits, group, {"memory.max", "memory.current", "inactive_file"});
}

void apply_v1_cpu(CgroupLimits& limits, const fs::path& group) {
  limit_cores(limits, std::atof(read_first_line(group / "cpu.cfs_quota_us").c_str()),
              std::atof(read_first_line(group / "cpu.cfs_period_us").c_str()));
}

void apply_v1_memory(CgroupLimits& limits, const fs::path& group) {
  limit_memory(limits, group,
               {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"});
}

/// The group and those around it. In a container the path may be the host's, which is not to be
/// seen there; the container's own group then lies at the mount.
template <typename Apply>
void walk_up(CgroupLimits& limits, const fs::path& mount, const std::string& path, Apply apply) {
  fs::path group = fs::path(path).relative_path().lexically_normal();
  if (!group.empty() && *group.begin() == "..") group.clear();
  for (; !group.empty(); group = group.parent_path()) apply(limits, mount / group);
  apply(limits, mount);
}

bool contains(const std::string& controllers, const std::string& name) {
  return ("," + controllers + ",").find("," + name + ",") != std::string::npos;
}

}  // namespace

CgroupLimits read_cgroup_limits(const fs::path& root) {
  CgroupLimits limits;
  const fs::path mounts = root / "sys/fs/cgroup";
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "0::/a/b", "4:cpu,cpuacct:/a/b"
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      walk_up(limits, mounts, path, apply_v2);
      walk_up(limits, mounts / "unified", path, apply_v2);  // beside version 1
    }
    if (contains(controllers, "cpu")) walk_up(limits, mounts / "cpu", path, apply_v1_cpu);
    if (contains(controllers, "memory")) walk_up(limits, mounts / "memory", path, apply_v1_memory);
  }
  return limits;
}

}  // namespace barcodemae
