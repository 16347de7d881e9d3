// SPDX-License-Identifier: MIT
#include "base/cgroup.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <string>

#include "base/machine.h"
#include "temporary_folder.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;

class CgroupTest : public testing::Test {
 protected:
  void write(const std::string& file, const std::string& text) const {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text << "\n";
  }
  void write_group(const std::string& text) const { write("proc/self/cgroup", text); }
  CgroupLimits read() const { return read_cgroup_limits(root_); }

  const TemporaryFolder folder_;
  const fs::path& root_ = folder_.path();
};

TEST_F(CgroupTest, NoGroupsNoLimits) {
  EXPECT_TRUE(std::isinf(read().cores));
  write_group("0::/");
  write("sys/fs/cgroup/cpu.max", "max 100000");
  write("sys/fs/cgroup/memory.max", "max");
  write("sys/fs/cgroup/memory.current", "123");
  EXPECT_TRUE(std::isinf(read().cores));
  EXPECT_EQ(read().memory_bytes, CgroupLimits::kNoLimit);
  EXPECT_EQ(read().free_memory_bytes, CgroupLimits::kNoLimit);
}

TEST_F(CgroupTest, Version2TakesTheTightestLimitOfTheWayUp) {
  write_group("0::/job/step/task");
  write("sys/fs/cgroup/job/cpu.max", "150000 100000");
  write("sys/fs/cgroup/job/step/cpu.max", "400000 100000");
  write("sys/fs/cgroup/job/memory.max", "5000");
  write("sys/fs/cgroup/job/memory.current", "4500");
  write("sys/fs/cgroup/job/memory.stat", "anon 500\ninactive_file 4000\nactive_file 0");
  write("sys/fs/cgroup/job/step/memory.max", "4600");
  write("sys/fs/cgroup/job/step/memory.current", "300");
  EXPECT_EQ(read().cores, 1.5);
  EXPECT_EQ(read().memory_bytes, 4600u);
  EXPECT_EQ(read().free_memory_bytes, 4300u);
  write("sys/fs/cgroup/job/memory.stat", "inactive_file 1000");
  EXPECT_EQ(read().free_memory_bytes, 1500u);
}

TEST_F(CgroupTest, Version1HasAFolderForEachController) {
  write_group("5:cpuset:/x\n4:cpu,cpuacct:/slurm/job\n3:memory:/slurm/job\n0::/");
  write("sys/fs/cgroup/cpu/slurm/cpu.cfs_quota_us", "-1");
  write("sys/fs/cgroup/cpu/slurm/cpu.cfs_period_us", "100000");
  write("sys/fs/cgroup/cpu/slurm/job/cpu.cfs_quota_us", "200000");
  write("sys/fs/cgroup/cpu/slurm/job/cpu.cfs_period_us", "100000");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
  write("sys/fs/cgroup/memory/slurm/memory.limit_in_bytes", "1000");
  write("sys/fs/cgroup/memory/slurm/memory.usage_in_bytes", "900");
  write("sys/fs/cgroup/memory/slurm/memory.stat", "inactive_file 1\ntotal_inactive_file 600");
  EXPECT_EQ(read().cores, 2);
  EXPECT_EQ(read().memory_bytes, 1000u);
  EXPECT_EQ(read().free_memory_bytes, 700u);
}

TEST_F(CgroupTest, InAContainerTheHostsPathEndsAtTheMount) {
  for (const char* path : {"/docker/0123", "/../../other"}) {
    write_group(std::string("0::") + path);
    write("sys/fs/cgroup/memory.max", "1000");
    write("sys/fs/cgroup/memory.current", "100");
    EXPECT_EQ(read().free_memory_bytes, 900u) << path;
  }
}

TEST(Machine, SimdStaysWithinTheIsaThatOneDnnMayUse) {
  EXPECT_EQ(simd_within_isa("SSE41"), SimdLevel::kScalar);
  EXPECT_EQ(simd_within_isa("AVX"), SimdLevel::kScalar);
  EXPECT_EQ(simd_within_isa("avx2"), SimdLevel::kAvx2);
  EXPECT_EQ(simd_within_isa("AVX2_VNNI"), SimdLevel::kAvx2);
  EXPECT_EQ(simd_within_isa("AVX512_CORE"), SimdLevel::kAvx512);
  EXPECT_EQ(simd_within_isa("AVX512_CORE_VNNI"), SimdLevel::kAvx512);
  EXPECT_EQ(simd_within_isa("AVX512_CORE_BF16"), SimdLevel::kAvx512Bf16);
  for (const char* unlimited : {"AVX512_CORE_AMX", "ALL", "DEFAULT", "nonsense"}) {
    EXPECT_EQ(simd_within_isa(unlimited), SimdLevel::kAmx) << unlimited;
  }
}

}  // namespace
}  // namespace barcodemae
