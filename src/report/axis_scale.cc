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

}  // namespace

AxisScale::AxisScale(Axis axis, double low, double high, int wanted, bool tight) : axis_(axis) {
  if (axis == Axis::kLog) {
    // Factors 1, 2, 5 on a short axis, whole powers of ten (every n-th) on a long one.
    const double decades = std::log10(high / low);
    if (!tight) {
      const double unit = decades < wanted / 2.0 ? 1.1 : 10;  // a little room, or the whole decade
      low = unit == 10 ? std::pow(10.0, std::floor(std::log10(low))) : low / unit;
      high = unit == 10 ? std::pow(10.0, std::ceil(std::log10(high))) : high * unit;
    }
    const int every =
        std::max(1, static_cast<int>(std::ceil(std::log10(high / low) / wanted - 1e-9)));
    for (int power = static_cast<int>(std::floor(std::log10(low))); std::pow(10.0, power) <= high;
         ++power) {
      if (power % every != 0) continue;
      for (const double factor : {1.0, 2.0, 5.0}) {
        if (factor > 1 && decades > wanted / 2.0) continue;
        const double tick = factor * std::pow(10.0, power);
        if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks_.push_back(tick);
      }
    }
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
