// SPDX-License-Identifier: MIT
#include "tensor/tape.h"

#include <utility>

#include "base/error.h"
#include "tensor/arena.h"

namespace barcodemae {

int Tape::add_slot(View value) {
  slots_.push_back({value, {}});
  return static_cast<int>(slots_.size()) - 1;
}

void Tape::record(int output, std::function<void(View)> backward) {
  BARCODEMAE_CHECK(output >= 0 && output < static_cast<int>(slots_.size()), "no slot {}", output);
  nodes_.push_back({output, std::move(backward)});
}

void Tape::record_loss(std::function<void()> backward) {
  nodes_.push_back({-1, [run = std::move(backward)](View) { run(); }});
}

GradientTarget Tape::contribute(int slot) {
  if (slot < 0) return {};
  Slot& target = slots_.at(static_cast<std::size_t>(slot));
  const bool accumulate = target.gradient.data != nullptr;
  if (!accumulate) {
    target.gradient = arena_.allocate(target.shape.rows, target.shape.cols, target.shape.dtype);
  }
  return {target.gradient, accumulate};
}

void Tape::backward() {
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
    if (node->output < 0) {
      node->backward({});
      continue;
    }
    const View gradient = slots_[static_cast<std::size_t>(node->output)].gradient;
    if (gradient.data == nullptr) continue;
    node->backward(gradient);
    arena_.release(gradient.data);
    slots_[static_cast<std::size_t>(node->output)].gradient = {};
  }
  clear();
}

void Tape::clear() {
  nodes_.clear();
  slots_.clear();
}

}  // namespace barcodemae
