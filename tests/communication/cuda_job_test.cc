// SPDX-License-Identifier: MIT
// Jobs with a GPU for each process. GPUs and NCCL are emulated, the rest is the real program.
#include "job_fixture.h"

namespace barcodemae {
namespace {

using testing::HasSubstr;

#ifdef BARCODEMAE_NCCL_EMULATED
class SlowCudaJobTest : public JobTest {
 protected:
  void SetUp() override {
    JobTest::SetUp();
    ::setenv("BARCODEMAE_CUDA_PLUGIN", BARCODEMAE_CUDA_EMULATED, 1);
    ::setenv("BARCODEMAE_NCCL_LIBRARY", BARCODEMAE_NCCL_EMULATED, 1);
    give_gpus("2");
  }
  static void give_gpus(const char* count) {
    ::setenv("BARCODEMAE_CUDA_EMULATION_DEVICES", count, 1);
  }
  Arguments gpu_pretraining(const std::string& out, const std::string& device = "cuda") const {
    return pretraining(out, {{"device", device}});
  }
};

TEST_F(SlowCudaJobTest, TwoGpusTrainWhatOneDoes) {
  ASSERT_EQ(run(1, gpu_pretraining("one")), 0) << log();
  ASSERT_EQ(run(2, gpu_pretraining("two")), 0) << log();
  EXPECT_THAT(log(), HasSubstr("and NCCL 2.28.9, 2 of them on this machine"));
  EXPECT_THAT(log(), HasSubstr("a step to add them up over 2 processes"));
  expect_same_training("one", "two");  // and at checkpoints both had the same bits
}

TEST_F(SlowCudaJobTest, AsManyGpusAgainTrainTheSameBitsAlsoInTwoSittings) {
  ASSERT_EQ(run(2, gpu_pretraining("whole")), 0) << log();
  const pid_t child = start(job(2, gpu_pretraining("parts")));
  wait_until_there_is(folder_ / "parts/model.safetensors", child);
  if (HasFatalFailure()) return;
  ::kill(child, SIGUSR1);
  EXPECT_NE(wait_for(child), 0) << log();
  EXPECT_FALSE(fs::is_empty(folder_ / "parts/checkpoints"));
  ASSERT_EQ(run(2, gpu_pretraining("parts")), 0) << log();
  EXPECT_THAT(log(), HasSubstr("Resuming at step"));
  expect_same_bits("whole", "parts");
}

TEST_F(SlowCudaJobTest, FineTuningIsSharedToo) {
  ASSERT_EQ(run(1, pretraining("model")), 0) << log();
  std::map<int, nlohmann::json> results;
  for (const int processes : {1, 2}) {
    const std::string out = folder_ / std::to_string(processes);
    ASSERT_EQ(run(processes, {"evaluate",  "finetune",   folder_ / "model", folder_ / "data.csv",
                              "--out",     out,          "--rank",          "genus",
                              "--epochs",  "1",          "--batch",         "16",
                              "--test",    "val_unseen", "--precision",     "f32",
                              "--device",  "cuda",       "--json",          out + ".json",
                              "--no-cache"}),
              0)
        << log();
    results[processes] = nlohmann::json::parse(read_file(out + ".json"));
  }
  const nlohmann::json &expected = results[1]["rows"][0], &found = results[2]["rows"][0];
  EXPECT_EQ(found["correct"], expected["correct"]);
  for (const char* key : {"loss", "val_loss"}) {
    const double value = expected["epochs"][1][key];
    EXPECT_NEAR(found["epochs"][1][key].get<double>(), value, 1e-4 * value) << key;
  }
}

TEST_F(SlowCudaJobTest, WhatNcclLacksIsSaid) {
  const auto expect_refused = [&](const Arguments& arguments, const std::string& message) {
    EXPECT_EQ(run(2, arguments), 2) << log();
    EXPECT_THAT(log(), HasSubstr(message));
    EXPECT_FALSE(fs::exists(folder_ / "bad/run.json"));
  };
  const std::string shared = "error: the processes number 1 and 2 of this job have the same GPU";
  expect_refused(gpu_pretraining("bad", "cuda:1"), shared);
  give_gpus("1");
  expect_refused(gpu_pretraining("bad"), shared);
  give_gpus("2");
  ::setenv("BARCODEMAE_NCCL_LIBRARY", "/nowhere/libnccl.so.2", 1);
  expect_refused(gpu_pretraining("bad"),
                 "need NCCL, which cannot be loaded: /nowhere/libnccl.so.2");
  ::setenv("BARCODEMAE_NCCL_LIBRARY", BARCODEMAE_CUDA_EMULATED, 1);
  expect_refused(gpu_pretraining("bad"), "has no ncclGetVersion: it is too old, or not NCCL");
}
#endif

}  // namespace
}  // namespace barcodemae
