// SPDX-License-Identifier: MIT
#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace barcodemae {
namespace {

/// From `start` to `end` along half a cosine; `progress` 0 … 1.
double cosine_between(double start, double end, double progress) {
  return end + (start - end) / 2 * (std::cos(std::numbers::pi * progress) + 1);
}

}  // namespace

Schedule::Schedule(const ScheduleConfig& config, std::int64_t steps)
    : config_(config), steps_(static_cast<double>(steps)) {
  BARCODEMAE_CHECK(steps > 0, "a schedule of {} steps", steps);
}

Schedule::Point Schedule::one_cycle(std::int64_t step) const {
  const double start_rate = config_.peak / config_.cycle_start_divisor;
  const double end_rate = start_rate / config_.cycle_end_divisor;
  const double peak_step = config_.warmup * steps_ - 1;
  const double last_step = steps_ - 1;
  const auto now = static_cast<double>(step);
  if (now <= peak_step) {
    const double progress = peak_step > 0 ? now / peak_step : 1;
    return {cosine_between(start_rate, config_.peak, progress),
            cosine_between(config_.cycle_beta1_high, config_.cycle_beta1_low, progress)};
  }
  const double progress = (now - peak_step) / (last_step - peak_step);
  return {cosine_between(config_.peak, end_rate, progress),
          cosine_between(config_.cycle_beta1_low, config_.cycle_beta1_high, progress)};
}

Schedule::Point Schedule::at(std::int64_t step) const {
  if (config_.kind == ScheduleKind::kOneCycle) return one_cycle(step);
  const double warmup_steps = std::round(config_.warmup * steps_);
  const auto now = static_cast<double>(step);
  if (now < warmup_steps) return {config_.peak * (now + 1) / warmup_steps, config_.beta1};
  if (config_.kind == ScheduleKind::kConstant) return {config_.peak, config_.beta1};
  return {cosine_between(config_.peak, 0, (now - warmup_steps) / (steps_ - warmup_steps)),
          config_.beta1};
}

}  // namespace barcodemae
