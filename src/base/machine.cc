// SPDX-License-Identifier: MIT
#include "base/machine.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <thread>

#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace barcodemae {
namespace {

constexpr SimdLevel kLevels[] = {SimdLevel::kScalar, SimdLevel::kAvx2, SimdLevel::kAvx512,
                                 SimdLevel::kAvx512Bf16, SimdLevel::kAmx};

#if defined(__x86_64__)

struct CpuId {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

CpuId cpuid(unsigned leaf, unsigned subleaf) {
  CpuId id;
  __get_cpuid_count(leaf, subleaf, &id.eax, &id.ebx, &id.ecx, &id.edx);
  return id;
}

/// Asks the kernel for the AMX tile registers; false when it refuses (old kernel, some sandboxes).
bool request_amx_tiles() {
  constexpr long kArchReqXcompPerm = 0x1023;
  constexpr long kXfeatureTileData = 18;
  return ::syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureTileData) == 0;
}

SimdLevel detect_simd() {
  const auto bit = [](unsigned word, int place) { return (word >> place & 1u) != 0; };
  const bool os_saves_state = bit(cpuid(1, 0).ecx, 27);  // OSXSAVE
  if (!os_saves_state) return SimdLevel::kScalar;
  unsigned xcr0 = 0, high = 0;
  __asm__("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
  const CpuId leaf1 = cpuid(1, 0), leaf7 = cpuid(7, 0), leaf71 = cpuid(7, 1);
  const bool avx2 = (xcr0 & 0x6) == 0x6 && bit(leaf7.ebx, 5) && bit(leaf1.ecx, 12) &&  // FMA
                    bit(leaf1.ecx, 29) && bit(leaf7.ebx, 8);                           // F16C, BMI2
  if (!avx2) return SimdLevel::kScalar;
  const bool avx512 = (xcr0 & 0xE6) == 0xE6 && bit(leaf7.ebx, 16) && bit(leaf7.ebx, 17) &&
                      bit(leaf7.ebx, 30) && bit(leaf7.ebx, 31);  // F, DQ, BW, VL
  if (!avx512) return SimdLevel::kAvx2;
  if (!bit(leaf71.eax, 5)) return SimdLevel::kAvx512;
  const bool amx = (xcr0 & 0x60000) == 0x60000 && bit(leaf7.edx, 22) && bit(leaf7.edx, 24);
  return amx && request_amx_tiles() ? SimdLevel::kAmx : SimdLevel::kAvx512Bf16;
}

#else

SimdLevel detect_simd() { return SimdLevel::kScalar; }

#endif

SimdLevel choose_simd() {
  const SimdLevel detected = detect_simd();
  const char* wanted = std::getenv("BARCODEMAE_SIMD");
  if (wanted == nullptr || *wanted == '\0') return detected;
  for (const SimdLevel level : kLevels) {
    if (std::string(wanted) != to_string(level)) continue;
    if (level > detected) {
      throw UserError("BARCODEMAE_SIMD={}: this machine has no more than {}", wanted,
                      to_string(detected));
    }
    return level;
  }
  throw UserError("BARCODEMAE_SIMD={}: choose scalar, avx2, avx512, avx512bf16 or amx", wanted);
}

std::string read_first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// Cores by cgroup quota (version 2, then 1), unlimited when there is none.
double cgroup_cores() {
  const std::string v2 = read_first_line("/sys/fs/cgroup/cpu.max");  // "200000 100000" or "max …"
  if (!v2.empty() && v2.compare(0, 3, "max") != 0) {
    char* rest = nullptr;
    const double quota = std::strtod(v2.c_str(), &rest);
    const double period = std::strtod(rest, nullptr);
    if (quota > 0 && period > 0) return quota / period;
  }
  const double quota = std::atof(read_first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").c_str());
  const double period = std::atof(read_first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us").c_str());
  if (quota > 0 && period > 0) return quota / period;
  return std::numeric_limits<double>::infinity();
}

int usable_cores() {
  int cores = static_cast<int>(std::thread::hardware_concurrency());
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) cores = CPU_COUNT(&set);
  const double quota = cgroup_cores();
  if (quota < cores) cores = static_cast<int>(std::lround(quota));
  return std::max(1, cores);
}

std::size_t cgroup_memory(const char* v2_file, const char* v1_file) {
  for (const char* path : {v2_file, v1_file}) {
    const std::string line = read_first_line(path);
    if (line.empty() || line == "max") continue;
    return static_cast<std::size_t>(std::strtoull(line.c_str(), nullptr, 10));
  }
  return std::numeric_limits<std::size_t>::max();
}

std::size_t memory_limit() {
  return cgroup_memory("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes");
}

/// A value of a "Name:   12345 kB" table, in bytes; 0 when it is not there.
std::size_t read_kilobytes(const char* path, const std::string& name) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.compare(0, name.size(), name) == 0) {
      return static_cast<std::size_t>(std::strtoull(line.c_str() + name.size(), nullptr, 10)) *
             1024;
    }
  }
  return 0;
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.compare(0, 10, "model name") == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

}  // namespace

const Machine& machine() {
  static const Machine instance = [] {
    Machine found;
    found.cpu_model = cpu_model();
    found.cores = usable_cores();
    found.memory_bytes = std::min(read_kilobytes("/proc/meminfo", "MemTotal:"), memory_limit());
    found.simd = choose_simd();
    return found;
  }();
  return instance;
}

const char* to_string(SimdLevel level) {
  switch (level) {
    case SimdLevel::kScalar:
      return "scalar";
    case SimdLevel::kAvx2:
      return "avx2";
    case SimdLevel::kAvx512:
      return "avx512";
    case SimdLevel::kAvx512Bf16:
      return "avx512bf16";
    case SimdLevel::kAmx:
      return "amx";
  }
  return "unknown";
}

std::size_t available_memory_bytes() {
  const std::size_t free_in_machine = read_kilobytes("/proc/meminfo", "MemAvailable:");
  const std::size_t limit = memory_limit();
  if (limit == std::numeric_limits<std::size_t>::max()) return free_in_machine;
  std::size_t used =
      cgroup_memory("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes");
  if (used == std::numeric_limits<std::size_t>::max()) used = 0;
  return std::min(free_in_machine, limit > used ? limit - used : 0);
}

std::size_t peak_memory_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

}  // namespace barcodemae
