// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "report/report.h"

namespace barcodemae {

/// Maps values to 0 … 1 along an axis whose ends and ticks are round numbers.
class AxisScale {
 public:
  /// Covers low … high (both finite, > 0 on a log axis, low ≤ high) with about `wanted` ticks. The
  /// ends of a `tight` axis are low and high themselves.
  AxisScale(Axis axis, double low, double high, int wanted, bool tight);

  double place(double value) const;
  const std::vector<double>& ticks() const { return ticks_; }

 private:
  double transform(double value) const;

  Axis axis_;
  double low_, high_;  // transformed
  std::vector<double> ticks_;
};

}  // namespace barcodemae
