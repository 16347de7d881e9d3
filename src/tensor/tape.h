// SPDX-License-Identifier: MIT
// Reverse-mode differentiation over a few coarse ops.
#pragma once

#include <functional>
#include <vector>

#include "tensor/view.h"

namespace barcodemae {

class Arena;
struct Parameter;

/// Where an op adds the gradient of one of its inputs.
struct GradientTarget {
  View view;
  bool accumulate = false;  ///< false: overwrite, it is the first contribution
};

class Tape {
 public:
  explicit Tape(Arena& arena) : arena_(arena) {}

  /// A gradient slot for a new tensor of this shape and type; its memory is taken when the first
  /// contribution arrives and given back when its op has used it.
  int add_slot(View value);
  /// `backward` runs in reverse order of recording. `output` is the slot whose gradient it
  /// consumes; an op none of whose output gradient was asked for is skipped. `parameters`: whose
  /// gradients it adds to.
  void record(int output, const std::vector<Parameter>& parameters,
              std::function<void(View output_gradient)> backward);
  /// A term of the loss: its backward needs no incoming gradient.
  void record_loss(const std::vector<Parameter>& parameters, std::function<void()> backward);

  /// For use inside a backward closure: where to put the gradient of an input. Slot −1: no data.
  GradientTarget contribute(int slot);

  /// `report` is told each recorded parameter (its Parameter::index) as soon as nothing left to run
  /// adds to its gradient: in the same order whatever the batch.
  void when_final(std::function<void(int parameter)> report) { report_ = std::move(report); }

  /// Runs everything recorded, last first, and forgets it.
  void backward();
  void clear();

 private:
  struct Slot {
    View shape;
    View gradient;  // no data until the first contribution
  };
  struct Node {
    int output;  // −1: a loss
    std::vector<int> parameters;
    std::function<void(View)> backward;
  };
  void add(int output, const std::vector<Parameter>& parameters,
           std::function<void(View)> backward);
  void run(const Node& node);
  void report_final(const Node& node);

  Arena& arena_;
  std::vector<Slot> slots_;
  std::vector<Node> nodes_;
  std::vector<int> uses_;  // of each parameter, in nodes that have not run
  std::function<void(int)> report_;
};

}  // namespace barcodemae
