// SPDX-License-Identifier: MIT
#include "bench/bench.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "bench/child_process.h"
#include "devices.h"

namespace barcodemae {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(ChildProcess, ReturnsOutputAndItsOwnPeakMemory) {
  const auto child = [](std::size_t megabytes) {
    return run_in_child([=] {
      const std::vector<char> memory(megabytes << 20, 'x');
      return std::string(memory.begin(), memory.begin() + 5);
    });
  };
  const ChildOutcome large = child(300), small = child(1);
  EXPECT_EQ(large.output, "xxxxx");
  EXPECT_GT(large.peak_bytes, std::size_t{300} << 20);
  EXPECT_LT(small.peak_bytes, std::size_t{300} << 20);
}

TEST(ChildProcess, PassesErrorsOn) {
  EXPECT_THAT([] { run_in_child([]() -> std::string { throw UserError("use less"); }); },
              ThrowsMessage<UserError>("use less"));
  EXPECT_THAT([] { run_in_child([]() -> std::string { throw InternalError("a bug"); }); },
              ThrowsMessage<InternalError>("a bug"));
  EXPECT_THAT([] { run_in_child([]() -> std::string { std::abort(); }); },
              ThrowsMessage<UserError>(HasSubstr("was killed")));
}

// What bench promises to programs that read its JSON, and that its numbers belong together.
TEST(Bench, ReportsRatesFractionsAndMemory) {
  BenchOptions options;
  options.presets = {"tiny"};
  options.precisions = {"f32"};
  options.batches = {4, 8};
  options.quick = true;
  const BenchReport report = run_bench(options);
  ASSERT_EQ(report.readings.size(), 4u);
  ASSERT_EQ(report.rows.size(), 2u);  // train and embed of the first batch
  const nlohmann::ordered_json json = to_json(report);
  EXPECT_GT(json["gemm"]["f32"]["gflops"], 0.0);
  EXPECT_EQ(json["gemm"]["f32"]["shapes"].size(), 4u);
  EXPECT_TRUE(json["machine"].is_object());
  for (const auto& row : json["results"]) {
    EXPECT_EQ(row["preset"], "tiny");
    EXPECT_EQ(row["batch"], 4);
    EXPECT_GT(row["samples_per_s"], 0.0);
    EXPECT_GT(row["peak_mb"], 1.0);
    EXPECT_NEAR(row["fraction"].get<double>() * json["gemm"]["f32"]["gflops"].get<double>(),
                row["gflops"].get<double>(), 1e-6);
  }
  for (const auto& row : json["reading"]) {
    EXPECT_EQ(row["records"], 10000);
    EXPECT_GT(row["text_mb"], 6.0);  // 658 bases each, decompressed, but for the incomplete ones
    EXPECT_NEAR(row["records_per_s"].get<double>() / 10000,
                row["mb_per_s"].get<double>() / row["text_mb"].get<double>(), 1e-6);
    EXPECT_GT(row["hash_mb_per_s"], 0.0);
  }
  // tiny: 2 layers of width 64, 110 tokens, 12 · 64² weights a layer.
  const Speed& embedding = report.rows[1].speed;
  EXPECT_NEAR(embedding.gflops / embedding.samples_per_s, 2e-9 * 110 * 2 * 12 * 64 * 64, 1e-9);
}

// Rates of products alone, fractions of them, and the device's own memory; no GPU is needed.
TEST(Bench, MeasuresADevice) {
  if (!emulate_cuda()) GTEST_SKIP() << "built without the emulation of CUDA";
  BenchOptions options;
  options.device = "cuda";
  options.presets = {"tiny"};
  options.tasks = {"embed", "prepare"};
  options.precisions = {"bf16", "int8"};
  options.batches = {2};
  options.quick = true;
  const BenchReport report = run_bench(options);
  const nlohmann::ordered_json json = to_json(report);
  EXPECT_EQ(json["machine"]["device"], "cuda");
  EXPECT_NE(json["machine"]["device_name"], "");
  ASSERT_EQ(report.rows.size(), 1u);  // int8 is of the CPU
  const auto& rate = json["gemm"]["bf16"];
  ASSERT_EQ(rate["shapes"].size(), 5u);
  EXPECT_EQ(rate["shapes"][0]["out"], rate["shapes"][0]["rows"]);
  EXPECT_EQ(rate["gflops"], rate["shapes"][0]["gflops"]);
  EXPECT_GT(json["results"][0]["device_mb"], 0.5);  // the weights alone: 2 · 12 · 64² · 4 bytes, …
  ASSERT_EQ(report.preparations.size(), 1u);
  EXPECT_GT(json["preparing"][0]["records_per_s"], 0.0);
}

TEST(Bench, MeasuresTheWidthAndLengthAskedFor) {
  BenchOptions options;
  options.presets = {"tiny"};
  options.tasks = {"embed"};
  options.precisions = {"f32"};
  options.batches = {4};
  options.tokens = {7};
  options.widths = {32};
  options.quick = true;
  const BenchReport report = run_bench(options);
  ASSERT_EQ(report.rows.size(), 1u);
  EXPECT_TRUE(report.readings.empty());
  const Speed& speed = report.rows[0].speed;
  EXPECT_NEAR(speed.gflops / speed.samples_per_s, 2e-9 * 7 * 2 * 12 * 32 * 32, 1e-12);

  SpeedRequest request;
  request.preset = "tiny";
  request.tokens = 513;
  EXPECT_THAT([&] { model_of(request); }, ThrowsMessage<UserError>(HasSubstr("512 positions")));
}

}  // namespace
}  // namespace barcodemae
