// SPDX-License-Identifier: MIT
#include "base/machine.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"

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
  const bool amx =
      (xcr0 & 0x60000) == 0x60000 && bit(leaf7.edx, 22) && bit(leaf7.edx, 24) && bit(leaf7.edx, 25);
  return amx && request_amx_tiles() ? SimdLevel::kAmx : SimdLevel::kAvx512Bf16;
}

#else

SimdLevel detect_simd() { return SimdLevel::kScalar; }

#endif

/// oneDNN's level is set to ours, which would make its own variable mean nothing.
SimdLevel onednn_limit() {
  for (const char* name : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"}) {
    if (const char* value = std::getenv(name); value && *value) return simd_within_isa(value);
  }
  return SimdLevel::kAmx;
}

SimdLevel choose_simd() {
  const SimdLevel detected = std::min(detect_simd(), onednn_limit());
  const char* wanted = std::getenv("BARCODEMAE_SIMD");
  if (wanted == nullptr || *wanted == '\0') return detected;
  for (const SimdLevel level : kLevels) {
    if (std::string(wanted) != to_string(level)) continue;
    if (level > detected) {
      throw UserError("BARCODEMAE_SIMD={}: this machine{} has no more than {}", wanted,
                      onednn_limit() == SimdLevel::kAmx ? "" : " under ONEDNN_MAX_CPU_ISA",
                      to_string(detected));
    }
    return level;
  }
  throw UserError("BARCODEMAE_SIMD={}: choose scalar, avx2, avx512, avx512bf16 or amx", wanted);
}

int usable_cores() {
  int cores = static_cast<int>(std::thread::hardware_concurrency());
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) cores = CPU_COUNT(&set);
  const double quota = read_cgroup_limits().cores;
  if (quota < cores) cores = static_cast<int>(std::lround(quota));
  return std::max(1, cores);
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
    found.memory_bytes =
        std::min(read_kilobytes("/proc/meminfo", "MemTotal:"), read_cgroup_limits().memory_bytes);
    found.simd = choose_simd();
    return found;
  }();
  return instance;
}

SimdLevel simd_within_isa(std::string isa) {
  std::transform(isa.begin(), isa.end(), isa.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::toupper(letter)); });
  if (isa == "SSE41" || isa == "AVX") return SimdLevel::kScalar;
  if (isa.starts_with("AVX2")) return SimdLevel::kAvx2;
  if (isa == "AVX512_CORE" || isa == "AVX512_CORE_VNNI" || isa.starts_with("AVX512_MIC")) {
    return SimdLevel::kAvx512;
  }
  if (isa == "AVX512_CORE_BF16" || isa == "AVX512_CORE_FP16") return SimdLevel::kAvx512Bf16;
  return SimdLevel::kAmx;
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
  return std::min(read_kilobytes("/proc/meminfo", "MemAvailable:"),
                  read_cgroup_limits().free_memory_bytes);
}

void require_memory(const std::string& task, const std::string& account, double needed, double free,
                    const std::string& advice) {
  if (needed > free) {
    throw UserError("{} needs about {},\nbut only {} are free.\n{}", task, account,
                    format_bytes(free), advice);
  }
  log_info("Memory: about {}; {} free", account, format_bytes(free));
}

std::size_t peak_memory_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

}  // namespace barcodemae
