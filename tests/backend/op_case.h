// SPDX-License-Identifier: MIT
// One call of one op, in numbers that do not depend on a backend, and how to run it on one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "guarded_buffer.h"
#include "tensor/backend.h"

namespace barcodemae::test {

/// A packed batch. Its numbers are a function of records and positions, never of a row's place, so
/// that the same sequence in another batch carries the same numbers.
struct Batch {
  std::vector<std::int32_t> lengths;    ///< of the sequences
  std::vector<std::int32_t> records;    ///< one a sequence
  std::vector<std::int32_t> positions;  ///< one a row

  Batch() = default;
  /// Records far apart; positions ascending, with gaps, as those of visible tokens.
  Batch(std::vector<std::int32_t> lengths);
  /// Some of the sequences.
  Batch select(const std::vector<std::size_t>& sequences) const;
  std::int64_t rows() const { return static_cast<std::int64_t>(positions.size()); }
  std::int64_t position_count() const;  ///< 1 + the largest position
};

/// What a row of an activation is called: rows of equal names hold equal numbers.
struct RowName {
  std::int32_t record = 0, position = 0;
  bool operator==(const RowName&) const = default;
};
std::vector<RowName> row_names(const Batch& batch);
std::vector<RowName> sequence_names(const Batch& batch);
std::vector<RowName> select(const std::vector<RowName>& names,
                            const std::vector<std::int32_t>& index);

/// A parameter, uniform in centre ± spread.
struct ParameterSpec {
  std::string name;
  std::int64_t rows = 1, cols = 1;
  double centre = 0, spread = 1;
  bool matmul = false;
  bool frozen = false;
};

struct IndexMatrix {
  std::vector<std::int32_t> values = {};
  std::int64_t cols = 1;
  bool given = false;
};

/// The views of a run, as kernels take them. Those an op has no use for are without data.
struct Call {
  Backend& backend;
  DType activation;
  View x = {}, y = {}, dx = {}, dy = {};
  View ids = {}, index = {}, targets = {};
  Segments segments = {};
  Bytes saved = {}, scratch = {};
  std::map<std::string, Parameter> parameters = {};
  double loss_weight = 0;  ///< dy of a loss

  /// By name; one without data when there is none.
  Parameter parameter(const std::string& name) const {
    const auto place = parameters.find(name);
    return place == parameters.end() ? Parameter{} : place->second;
  }
};

struct OpCase {
  std::string name;
  Batch batch;
  std::vector<RowName> x_rows, y_rows;
  std::int64_t x_cols = 0, y_cols = 0;
  double x_spread = 1.7;      ///< x and dy are uniform in ± this: about unit variance
  bool x_statistics = false;  ///< x is pooled: float32, or float64 with float64
  bool statistics = false;    ///< y is pooled or a loss: float32, or float64 with float64
  bool loss = false;          ///< y is {loss, hits}; its gradient is a number
  bool wants_dx = true;
  bool accumulate = false;
  double tolerance_factor = 1;  ///< for cases that magnify rounding errors
  /// So much that of types shorter than float32 no more can be asked than finite numbers.
  bool only_finite_when_short = false;
  std::vector<ParameterSpec> parameters;
  IndexMatrix ids, index, targets;

  std::function<KernelMemory(const Call&, bool backward)> memory;
  std::function<void(const Call&)> forward, backward;
  /// The same op on other sequences; only where rows of y belong to sequences.
  std::function<OpCase(const Batch&)> with_batch;

  /// Both change the name too.
  OpCase& freeze(const std::vector<std::string>& names);
  OpCase& rename(std::string suffix);
};

using Values = std::map<std::string, std::vector<double>>;

/// The numbers of a case: "x", "dy", "dx" (what is there before accumulating), parameters by name,
/// and "d <name>", their gradients before. All are float32 numbers; activations and matmul weights
/// also bfloat16 numbers, so that every precision begins with the same ones.
Values make_inputs(const OpCase& op);

enum class Pass { kInference, kForward, kBoth };

/// Runs a case and returns "y" (of a loss "loss" and "hits"), "dx" and "d <parameter>" of those
/// that are wanted. Reports, as test failures, sentinels, inputs or gradient padding that were
/// written to.
Values run(const OpCase& op, const Values& inputs, Backend& backend, DType precision, Pass pass);

/// Every op with every shape that matters.
std::vector<OpCase> all_op_cases();

}  // namespace barcodemae::test
