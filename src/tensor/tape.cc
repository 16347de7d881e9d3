// SPDX-License-Identifier: MIT
#include "tensor/tape.h"

#include <utility>

#include "base/error.h"
#include "tensor/arena.h"
#include "tensor/parameters.h"

namespace barcodemae {

int Tape::add_slot(View value) {
  slots_.push_back({value, {}});
  return static_cast<int>(slots_.size()) - 1;
}

void Tape::add(int output, const std::vector<Parameter>& parameters,
               std::function<void(View)> backward) {
  Node node{output, {}, std::move(backward)};
  for (const Parameter& parameter : parameters) {
    if (parameter.gradient.data == nullptr || parameter.index < 0) continue;
    node.parameters.push_back(parameter.index);
    const auto index = static_cast<std::size_t>(parameter.index);
    if (uses_.size() <= index) uses_.resize(index + 1, 0);
    ++uses_[index];
  }
  nodes_.push_back(std::move(node));
}

void Tape::record(int output, const std::vector<Parameter>& parameters,
                  std::function<void(View)> backward) {
  BARCODEMAE_CHECK(output >= 0 && output < static_cast<int>(slots_.size()), "no slot {}", output);
  add(output, parameters, std::move(backward));
}

void Tape::record_loss(const std::vector<Parameter>& parameters, std::function<void()> backward) {
  add(-1, parameters, [run = std::move(backward)](View) { run(); });
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
    run(*node);
    report_final(*node);
  }
  clear();
}

void Tape::run(const Node& node) {
  if (node.output < 0) {
    node.backward({});
    return;
  }
  const View gradient = slots_[static_cast<std::size_t>(node.output)].gradient;
  if (gradient.data == nullptr) return;
  node.backward(gradient);
  arena_.release(gradient.data);
  slots_[static_cast<std::size_t>(node.output)].gradient = {};
}

void Tape::report_final(const Node& node) {
  for (const int parameter : node.parameters) {
    if (--uses_[static_cast<std::size_t>(parameter)] == 0 && report_) report_(parameter);
  }
}

void Tape::clear() {
  nodes_.clear();
  slots_.clear();
  uses_.clear();
}

}  // namespace barcodemae
