// SPDX-License-Identifier: MIT
#include "communication/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "temporary_folder.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using testing::HasSubstr;

Launch launched_with(const std::map<std::string, std::string>& variables) {
  return read_launch([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

std::string refusal(const Launch& launch, const std::vector<std::filesystem::path>& places) {
  return user_error([&] { join_job(launch, places); });
}

TEST(Launch, IsReadFromWhatLaunchersSet) {
  EXPECT_EQ(launched_with({}).size, 1);
  const Launch open_mpi =
      launched_with({{"OMPI_COMM_WORLD_SIZE", "8"}, {"OMPI_COMM_WORLD_RANK", "3"}});
  EXPECT_EQ(open_mpi.size, 8);
  EXPECT_EQ(open_mpi.rank, 3);
  EXPECT_EQ(open_mpi.rank_on_machine, 3) << "unless the launcher says otherwise";
  EXPECT_EQ(launched_with({{"OMPI_COMM_WORLD_SIZE", "8"},
                           {"OMPI_COMM_WORLD_RANK", "5"},
                           {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                           {"SLURM_LOCALID", "0"}})  // of the daemon that srun started
                .rank_on_machine,
            1);
  EXPECT_EQ(launched_with({{"PMI_SIZE", "2"}, {"PMI_RANK", "1"}}).rank, 1);
  const std::map<std::string, std::string> batch_script = {{"SLURM_STEP_NUM_TASKS", "4"},
                                                           {"SLURM_PROCID", "2"}};
  EXPECT_EQ(launched_with(batch_script).size, 1) << "tasks without MPI are none of our business";
  auto step = batch_script;
  step["PMIX_RANK"] = "2";
  EXPECT_EQ(launched_with(step).size, 4);
  step["SLURM_LOCALID"] = "0";
  EXPECT_EQ(launched_with(step).rank_on_machine, 0);
  EXPECT_EQ(launched_with(step).rank, 2);
  EXPECT_THROW(launched_with({{"PMI_SIZE", "two"}, {"PMI_RANK", "0"}}), UserError);
}

TEST(Launch, OneProcessNeedsNoPlugin) {
  const auto communicator = join_job({0, 1}, {"/nowhere"});
  EXPECT_EQ(communicator->size(), 1);
  EXPECT_EQ(communicator->rank(), 0);
}

TEST(Launch, WhatIsNoPluginIsRefusedWithAdvice) {
  const TemporaryFolder folder;
  EXPECT_THAT(refusal({1, 4}, {folder / "missing.so"}),
              testing::AllOf(HasSubstr("4 processes"), HasSubstr("missing.so"),
                             HasSubstr("libopenmpi-dev")));
  std::ofstream(folder / "text.so") << "no library";
  EXPECT_THAT(refusal({0, 2}, {folder / "missing.so", folder / "text.so"}),
              HasSubstr("cannot load"));
  EXPECT_THAT(refusal({0, 2}, {"/lib/x86_64-linux-gnu/libc.so.6"}), HasSubstr("no plugin"));
}

}  // namespace
}  // namespace barcodemae
