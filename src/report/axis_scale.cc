// SPDX-License-Identifier: MIT
#include "report/axis_scale.h"

#include <algorithm>
#include <cmath>

namespace barcodemae {
namespace {

/// The round number 1, 2 or 5 times a power of ten next above `step`.
double round_step(double step) {
  const double power = std::pow(10.0, std::floor(std::log10(step)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= step * (1 - 1e-9)) return factor * power;
  return 10 * power;
}

/// Multiples of a round step inside low … high.
std::vector<double> even_ticks(double low, double high, int wanted) {
  const double step = round_step((high - low) / wanted);
  std::vector<double> ticks;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i)
    ticks.push_back(i == 0 ? 0 : i * step);  // no minus in front of zero
  return ticks;
}

/// Whole powers of ten (every n-th) on a long axis, 1, 2 and 5 times them on a shorter one, and the
/// steps of a linear one where even these are few.
std::vector<double> log_ticks(double low, double high, int wanted) {
  const double decades = std::log10(high / low);
  const int every = std::max(1, static_cast<int>(std::ceil(decades / wanted - 1e-9)));
  std::vector<double> ticks;
  for (int power = static_cast<int>(std::floor(std::log10(low))); std::pow(10.0, power) <= high;
       ++power) {
    if (power % every != 0) continue;
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (factor > 1 && decades > wanted / 2.0) continue;
      const double tick = factor * std::pow(10.0, power);
      if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks.push_back(tick);
    }
  }
  return ticks.size() < 3 ? even_ticks(low, high, wanted) : ticks;
}

}  // namespace

AxisScale::AxisScale(Axis axis, double low, double high, int wanted, bool tight) : axis_(axis) {
  if (axis == Axis::kLog) {
    const bool is_short = std::log10(high / low) < wanted / 2.0;
    if (low == high || (is_short && !tight)) {  // a little room
      low /= 1.1;
      high *= 1.1;
    } else if (!tight) {  // whole decades
      low = std::pow(10.0, std::floor(std::log10(low)));
      high = std::pow(10.0, std::ceil(std::log10(high)));
    }
    ticks_ = log_ticks(low, high, wanted);
  } else {
    if (low == high) {  // a level: give it some room
      const double room = low == 0 ? 1 : std::abs(low) * 0.1;
      low -= room;
      high += room;
    }
    const double step = round_step((high - low) / wanted);
    if (!tight) {
      low = std::floor(low / step + 1e-9) * step;
      high = std::ceil(high / step - 1e-9) * step;
    }
    ticks_ = even_ticks(low, high, wanted);
  }
  low_ = transform(low);
  high_ = transform(high);
  if (low_ == high_) high_ = low_ + 1;
}

double AxisScale::transform(double value) const {
  return axis_ == Axis::kLog ? std::log10(value) : value;
}

double AxisScale::place(double value) const { return (transform(value) - low_) / (high_ - low_); }

}  // namespace barcodemae
