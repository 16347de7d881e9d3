// SPDX-License-Identifier: MIT
// Devices that cannot be had: exit code 2 and a message of at most six lines that says what to do.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "backend/backends.h"
#include "base/error.h"
#include "devices.h"
#include "run_binary.h"
#include "temporary_folder.h"

namespace barcodemae {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

const std::string kTinyModel = BARCODEMAE_TEST_DATA "/golden/format_1/run";

/// What `embed --device …` says with these environment variables, which it must refuse.
std::string refusal(const std::vector<std::string>& options,
                    const std::map<std::string, std::string>& variables = {}) {
  const TemporaryFolder folder;
  const std::string data =
      folder.write("one.fasta", ">one\nACGTACGTTAGCTAGCATCGATCAGCATCAGCATCGACTACGACTAC\n");
  std::vector<std::string> arguments{"embed", kTinyModel,       data,
                                     "--out", folder / "x.npy", "--quiet"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
  const Outcome outcome = run_barcodemae(arguments);
  for (const auto& [name, value] : variables) ::unsetenv(name.c_str());
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
  EXPECT_LE(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 6) << outcome.err;
  return outcome.err;
}

TEST(Device, NamesAreChecked) {
  for (const char* name : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda:99999999999"}) {
    EXPECT_THAT(refusal({"--device", name}), AllOf(HasSubstr(name), HasSubstr("cuda:N")));
  }
  EXPECT_EQ(parse_device("cuda:12")->number, 12);
  EXPECT_EQ(parse_device("cuda")->number, std::nullopt);
}

TEST(Device, RefusesPrecisionsThatItHasNot) {
  EXPECT_THAT(refusal({"--device", "cuda", "--precision", "int8"}), HasSubstr("f32 or bf16"));
  EXPECT_THAT(refusal({"--device", "reference", "--precision", "bf16"}), HasSubstr("f32 or int8"));
}

TEST(Device, WithoutThePluginSaysHowToBuildIt) {
  EXPECT_THAT(refusal({"--device", "cuda"}, {{"BARCODEMAE_CUDA_PLUGIN", "/nowhere/plugin.so"}}),
              AllOf(HasSubstr("built without CUDA"), HasSubstr("/nowhere/plugin.so"),
                    HasSubstr("scripts/setup --cuda")));
}

TEST(Device, WhatIsNoPluginIsRefused) {
  const TemporaryFolder folder;
  EXPECT_THAT(refusal({"--device", "cuda"},
                      {{"BARCODEMAE_CUDA_PLUGIN", folder.write("text.so", "no library")}}),
              AllOf(HasSubstr("cannot load"), HasSubstr("LD_LIBRARY_PATH")));
  EXPECT_THAT(refusal({"--device", "cuda"},
                      {{"BARCODEMAE_CUDA_PLUGIN", "/lib/x86_64-linux-gnu/libc.so.6"}}),
              HasSubstr("no plugin"));
}

/// On the CPU, by the same plugin.cc (tests/cuda_emulation).
class EmulatedCuda : public testing::Test {
 protected:
  void SetUp() override {
    if (!emulate_cuda()) GTEST_SKIP() << "skipped: built without the emulation of CUDA";
  }
};

TEST_F(EmulatedCuda, RefusesProgramsOfAnotherVersion) {
  void* library = ::dlopen(std::getenv("BARCODEMAE_CUDA_PLUGIN"), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << ::dlerror();
  auto* const factory = reinterpret_cast<CudaPluginFactory*>(::dlsym(library, kCudaPluginFactory));
  ASSERT_NE(factory, nullptr);
  std::string error;
  EXPECT_EQ(factory("barcodemae cuda 0, version 0.0.1", error), nullptr);
  EXPECT_THAT(error, AllOf(HasSubstr("version 0.0.1"), HasSubstr("Build both together")));
}

TEST_F(EmulatedCuda, RefusesAGpuThatDoesNotExist) {
  EXPECT_THAT([] { make_backend("cuda:7"); },
              ThrowsMessage<UserError>(
                  AllOf(HasSubstr("cuda:7"), HasSubstr("sees 1"), HasSubstr("Use cuda:0"))));
}

TEST_F(EmulatedCuda, RefusesWidthsThatItsKernelsDoNotTake) {
  const TemporaryFolder folder;
  const Outcome outcome =
      run_barcodemae({"pretrain", BARCODEMAE_TEST_DATA "/golden/format_1/data.csv.zst", "--out",
                      folder / "run", "--preset", "tiny", "--steps", "1", "--batch", "8",
                      "--feed-forward", "100", "--device", "cuda"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("feed-forward layers of 100"));
}

TEST_F(EmulatedCuda, ProcessesTakeTurnsOnTheGpus) {
  ::setenv("BARCODEMAE_CUDA_EMULATION_DEVICES", "2", 1);
  ::setenv("PMI_SIZE", "4", 1);
  for (const int rank : {0, 1, 2, 3}) {
    ::setenv("PMI_RANK", std::to_string(rank).c_str(), 1);
    EXPECT_EQ(choose_cuda_device(std::nullopt).number, rank % 2);
  }
  for (const char* name : {"BARCODEMAE_CUDA_EMULATION_DEVICES", "PMI_SIZE", "PMI_RANK"}) {
    ::unsetenv(name);
  }
}

/// The plugin of the build, where there was a CUDA toolkit, with a driver that only says no
/// (no_driver.cc).
class CudaPluginTest : public testing::Test {
 protected:
  void SetUp() override {
    if (kFolder.empty()) GTEST_SKIP() << "skipped: built without CUDA";
  }
  static std::string refusal_with(std::map<std::string, std::string> variables) {
    variables.insert(
        {{"BARCODEMAE_CUDA_PLUGIN", BARCODEMAE_CUDA_BUILT}, {"LD_LIBRARY_PATH", kFolder}});
    return refusal({"--device", "cuda"}, variables);
  }
  static inline const std::string kFolder = BARCODEMAE_NO_DRIVER;
};

TEST_F(CudaPluginTest, SaysWhatIsWrongWithTheDriver) {
  EXPECT_THAT(refusal_with({{"NO_DRIVER_VERSION", "0"}}), HasSubstr("no NVIDIA driver"));
  EXPECT_THAT(refusal_with({{"NO_DRIVER_VERSION", "11040"}}),
              AllOf(HasSubstr("too old"), HasSubstr("CUDA 11.4"), HasSubstr("or newer")));
  EXPECT_THAT(refusal_with({{"NO_DRIVER_VERSION", "99000"}, {"CUDA_VISIBLE_DEVICES", "5"}}),
              AllOf(HasSubstr("shows no GPU"), HasSubstr("CUDA_VISIBLE_DEVICES is \"5\"")));
}

}  // namespace
}  // namespace barcodemae
