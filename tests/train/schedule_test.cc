// SPDX-License-Identifier: MIT
#include "train/schedule.h"

#include <gtest/gtest.h>

#include <vector>

namespace barcodemae {
namespace {

struct Known {
  std::int64_t step;
  double learning_rate, beta1;
};

void expect_known(const Schedule& schedule, const std::vector<Known>& numbers) {
  for (const Known& known : numbers) {
    const Schedule::Point point = schedule.at(known.step);
    EXPECT_NEAR(point.learning_rate, known.learning_rate, 1e-9 * known.learning_rate) << known.step;
    EXPECT_NEAR(point.beta1, known.beta1, 1e-12) << known.step;
  }
}

// From PyTorch 2.15: OneCycleLR(AdamW(lr=1e-4), 1e-4, total_steps=…, pct_start=…).
TEST(Schedule, OneCycleGivesPyTorchsNumbers) {
  ScheduleConfig config;
  config.peak = 1e-4;
  expect_known(Schedule(config, 100), {{0, 4.000000000000002e-06, 0.95},
                                       {15, 5.4598667612100044e-05, 0.897293054570729},
                                       {29, 0.0001, 0.85},
                                       {30, 9.994965352845243e-05, 0.8500503466729342},
                                       {60, 5.892800902855288e-05, 0.8910721552600681},
                                       {99, 3.9999999999999996e-10, 0.95}});
  expect_known(Schedule(config, 7), {{0, 4.000000000000002e-06, 0.95},
                                     {1, 9.805566273349587e-05, 0.8520253513192751},
                                     {3, 6.726838364805451e-05, 0.8827317472789346},
                                     {6, 3.9999999999999996e-10, 0.95}});
  config.warmup = 0.5;
  expect_known(Schedule(config, 20), {{4, 4.366488747198734e-05, 0.9086824088833465},
                                      {9, 0.0001, 0.85},
                                      {14, 5.00002e-05, 0.8999999999999999}});
}

TEST(Schedule, OneCycleIsFiniteForEveryLength) {
  for (const double warmup : {0.0, 0.3, 0.5, 1.0}) {
    ScheduleConfig config;
    config.warmup = warmup;
    for (std::int64_t steps = 1; steps <= 12; ++steps) {
      const Schedule schedule(config, steps);
      for (std::int64_t step = 0; step < steps; ++step) {
        const Schedule::Point point = schedule.at(step);
        EXPECT_TRUE(point.learning_rate > 0 && point.learning_rate <= config.peak * (1 + 1e-12))
            << warmup << " " << step << "/" << steps << ": " << point.learning_rate;
        EXPECT_TRUE(point.beta1 > 0.84 && point.beta1 < 0.96) << point.beta1;
      }
    }
  }
}

TEST(Schedule, CosineWarmsUpLinearlyAndFallsToZero) {
  ScheduleConfig config;
  config.kind = ScheduleKind::kCosine;
  config.peak = 1;
  config.warmup = 0.1;
  config.beta1 = 0.8;
  const Schedule schedule(config, 100);
  EXPECT_DOUBLE_EQ(schedule.at(0).learning_rate, 0.1);
  EXPECT_DOUBLE_EQ(schedule.at(9).learning_rate, 1);
  EXPECT_DOUBLE_EQ(schedule.at(10).learning_rate, 1);
  EXPECT_DOUBLE_EQ(schedule.at(55).learning_rate, 0.5);
  EXPECT_LT(schedule.at(99).learning_rate, 1e-3);
  EXPECT_DOUBLE_EQ(schedule.at(55).beta1, 0.8);
}

TEST(Schedule, ConstantStaysAtThePeakAfterWarmup) {
  ScheduleConfig config;
  config.kind = ScheduleKind::kConstant;
  config.peak = 2;
  config.warmup = 0;
  EXPECT_DOUBLE_EQ(Schedule(config, 10).at(0).learning_rate, 2);
  EXPECT_DOUBLE_EQ(Schedule(config, 10).at(9).learning_rate, 2);
}

}  // namespace
}  // namespace barcodemae
