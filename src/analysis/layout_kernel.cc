// SPDX-License-Identifier: MIT
// Compiled once per instruction set by Highway (which includes this file again and again by the
// name that CMakeLists.txt gives it), chosen at run time.
#include "analysis/layout_kernel.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"

HWY_BEFORE_NAMESPACE();
namespace barcodemae::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

float squared_distance(const float* HWY_RESTRICT x, const float* HWY_RESTRICT y,
                       std::int64_t stride) {
  const hn::CappedTag<float, kLayoutPadding> tag;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(tag));
  auto sum = hn::Zero(tag);
  for (std::int64_t d = 0; d < stride; d += lanes) {
    const auto difference = hn::Sub(hn::LoadU(tag, x + d), hn::LoadU(tag, y + d));
    sum = hn::MulAdd(difference, difference, sum);
  }
  return hn::GetLane(hn::SumOfLanes(tag, sum));
}

/// x += rate · clip(factor · (x − y)).
void move(float* HWY_RESTRICT x, const float* HWY_RESTRICT y, float factor, float rate,
          std::int64_t stride) {
  const hn::CappedTag<float, kLayoutPadding> tag;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(tag));
  constexpr float kClip = 4;  // of each coordinate of a gradient
  const auto low = hn::Set(tag, -kClip), high = hn::Set(tag, kClip);
  const auto factors = hn::Set(tag, factor), rates = hn::Set(tag, rate);
  for (std::int64_t d = 0; d < stride; d += lanes) {
    const auto own = hn::LoadU(tag, x + d);
    const auto gradient = hn::Mul(factors, hn::Sub(own, hn::LoadU(tag, y + d)));
    hn::StoreU(hn::MulAdd(hn::Clamp(gradient, low, high), rates, own), tag, x + d);
  }
}

void attract(const LayoutStep& step, float* HWY_RESTRICT x, const float* HWY_RESTRICT y) {
  const float square = squared_distance(x, y, step.stride);
  if (square <= 0) return;
  const float power = std::pow(square, step.b);
  const float factor = -2 * step.a * step.b * power / (square * (step.a * power + 1));
  move(x, y, factor, step.learning_rate, step.stride);
}

void repel(const LayoutStep& step, float* HWY_RESTRICT x, const float* HWY_RESTRICT y) {
  const float square = squared_distance(x, y, step.stride);
  if (square <= 0) return;
  constexpr float kSoftening = 0.001f;
  const float power = std::pow(square, step.b);
  const float factor = 2 * step.b / ((kSoftening + square) * (step.a * power + 1));
  move(x, y, factor, step.learning_rate, step.stride);
}

void move_vertex_here(const LayoutStep& step, std::int64_t vertex, float* HWY_RESTRICT moved) {
  std::copy_n(step.positions + vertex * step.stride, step.stride, moved);
  RandomSequence random(step.seed, Stream::kLayout, step.epoch, static_cast<std::uint32_t>(vertex));
  const auto is_its_turn = [&](std::int64_t edge) {
    const float every = step.epochs_per_sample[edge];
    const auto epoch = static_cast<float>(step.epoch);
    return std::floor(epoch / every) > std::floor((epoch - 1) / every);
  };
  for (std::int64_t edge = step.begins[vertex]; edge < step.begins[vertex + 1]; ++edge) {
    if (!is_its_turn(edge)) continue;
    const float* other_end = step.positions + step.neighbours[edge] * step.stride;
    attract(step, moved, other_end);  // as the edge's second end
    attract(step, moved, other_end);  // as its first, which then meets others
    for (int sample = 0; sample < step.negative_samples; ++sample) {
      const std::int64_t other = random.below(static_cast<std::uint32_t>(step.vertices));
      if (other != vertex) repel(step, moved, step.positions + other * step.stride);
    }
  }
}

}  // namespace barcodemae::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace barcodemae {

HWY_EXPORT(move_vertex_here);

void move_vertex(const LayoutStep& step, std::int64_t vertex, float* moved) {
  HWY_DYNAMIC_DISPATCH(move_vertex_here)(step, vertex, moved);
}

}  // namespace barcodemae
#endif
