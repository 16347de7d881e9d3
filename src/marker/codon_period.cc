// SPDX-License-Identifier: MIT
#include "marker/codon_period.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace barcodemae {
namespace {

/// Entropy in nats.
double entropy(const std::array<float, 4>& frequencies) {
  double sum = 0;
  for (const float frequency : frequencies) {
    if (frequency > 0) sum -= double{frequency} * std::log(double{frequency});
  }
  return sum;
}

}  // namespace

std::optional<CodonPeriod> find_codon_period(const std::vector<std::array<float, 4>>& frequencies) {
  constexpr double kClearRatio = 1.5;
  std::array<double, 3> sums{}, sites{};
  for (std::size_t site = 0; site < frequencies.size(); ++site) {
    sums[site % 3] += entropy(frequencies[site]);
    sites[site % 3] += 1;
  }
  std::array<double, 3> means{};
  for (std::size_t i = 0; i < 3; ++i) means[i] = sites[i] > 0 ? sums[i] / sites[i] : 0;
  const auto third = static_cast<std::size_t>(std::ranges::max_element(means) - means.begin());
  const std::size_t next = (third + 1) % 3, last = (third + 2) % 3;
  if (means[third] <= kClearRatio * std::max(means[next], means[last])) return std::nullopt;
  // Along the coding strand a first position follows a third; against it, a second one does, and
  // the codon begins with the third.
  if (means[last] > kClearRatio * means[next]) return CodonPeriod{static_cast<int>(third), true};
  return CodonPeriod{static_cast<int>(next), false};
}

}  // namespace barcodemae
