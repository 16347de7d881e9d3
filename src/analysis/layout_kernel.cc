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

/// Some coordinates of a step along a gradient, factor · difference, of which none counts more
/// than kClip.
template <typename Tag>
hn::Vec<Tag> step_along(Tag tag, hn::Vec<Tag> difference, float factor, float rate) {
  constexpr float kClip = 4;
  const auto gradient = hn::Mul(hn::Set(tag, factor), difference);
  return hn::Mul(hn::Clamp(gradient, hn::Set(tag, -kClip), hn::Set(tag, kClip)),
                 hn::Set(tag, rate));
}

/// Moves the ends of an edge towards each other, at a high learning rate past each other.
void attract(const LayoutStep& step, float* HWY_RESTRICT x, float* HWY_RESTRICT y) {
  const hn::CappedTag<float, kLayoutPadding> tag;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(tag));
  const float square = squared_distance(x, y, step.stride);
  if (square <= 0) return;
  const float power = std::pow(square, step.b);
  const float factor = -2 * step.a * step.b * power / (square * (step.a * power + 1));
  for (std::int64_t d = 0; d < step.stride; d += lanes) {
    const auto own = hn::LoadU(tag, x + d), others = hn::LoadU(tag, y + d);
    const auto move = step_along(tag, hn::Sub(own, others), factor, step.learning_rate);
    hn::StoreU(hn::Add(own, move), tag, x + d);
    hn::StoreU(hn::Sub(others, move), tag, y + d);
  }
}

/// Moves x away from y.
void repel(const LayoutStep& step, float* HWY_RESTRICT x, const float* HWY_RESTRICT y) {
  const hn::CappedTag<float, kLayoutPadding> tag;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(tag));
  const float square = squared_distance(x, y, step.stride);
  if (square <= 0) return;
  constexpr float kSoftening = 0.001f;
  const float power = std::pow(square, step.b);
  const float factor = 2 * step.b / ((kSoftening + square) * (step.a * power + 1));
  for (std::int64_t d = 0; d < step.stride; d += lanes) {
    const auto own = hn::LoadU(tag, x + d);
    const auto difference = hn::Sub(own, hn::LoadU(tag, y + d));
    hn::StoreU(hn::Add(own, step_along(tag, difference, factor, step.learning_rate)), tag, x + d);
  }
}

void move_vertex_here(const LayoutStep& step, std::int64_t vertex, float* HWY_RESTRICT moved,
                      float* HWY_RESTRICT other_end) {
  std::copy_n(step.positions + vertex * step.stride, step.stride, moved);
  RandomSequence random(step.seed, Stream::kLayout, step.epoch, static_cast<std::uint32_t>(vertex));
  const auto is_its_turn = [&](std::int64_t edge) {
    const float every = step.epochs_per_sample[edge];
    const auto epoch = static_cast<float>(step.epoch);
    return std::floor(epoch / every) > std::floor((epoch - 1) / every);
  };
  for (std::int64_t edge = step.begins[vertex]; edge < step.begins[vertex + 1]; ++edge) {
    if (!is_its_turn(edge)) continue;
    std::copy_n(step.positions + step.neighbours[edge] * step.stride, step.stride, other_end);
    attract(step, moved, other_end);
    for (int sample = 0; sample < step.negative_samples; ++sample) {
      const std::int64_t other = random.below(static_cast<std::uint32_t>(step.vertices));
      if (other != vertex) repel(step, moved, step.positions + other * step.stride);
    }
    attract(step, moved, other_end);
  }
}

}  // namespace barcodemae::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace barcodemae {

HWY_EXPORT(move_vertex_here);

void move_vertex(const LayoutStep& step, std::int64_t vertex, float* moved, float* scratch) {
  HWY_DYNAMIC_DISPATCH(move_vertex_here)(step, vertex, moved, scratch);
}

}  // namespace barcodemae
#endif
