// SPDX-License-Identifier: MIT
#include "op_case.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <utility>

#include "base/random.h"

namespace barcodemae::test {
namespace {

constexpr std::uint64_t kSeed = 20240229;

/// Appends a row of `cols` numbers uniform in ±1, named by purpose, row and column.
void append_row(std::vector<double>& values, std::uint32_t purpose, RowName row,
                std::int64_t cols) {
  std::array<std::uint32_t, 4> words{};
  for (std::int64_t column = 0; column < cols; ++column) {
    if (column % 4 == 0) {
      words = philox4x32(
          {purpose, static_cast<std::uint32_t>(row.record),
           static_cast<std::uint32_t>(row.position), static_cast<std::uint32_t>(column / 4)},
          kSeed);
    }
    values.push_back(words[static_cast<std::size_t>(column % 4)] * 0x1.0p-31 - 1.0);
  }
}

std::vector<double> activation_values(std::uint32_t purpose, const std::vector<RowName>& rows,
                                      std::int64_t cols, double spread) {
  std::vector<double> values;
  for (const RowName row : rows) append_row(values, purpose, row, cols);
  for (double& value : values) value = round_to_bfloat16(spread * value);
  return values;
}

std::vector<double> parameter_values(std::uint32_t purpose, const ParameterSpec& spec,
                                     double centre, double spread) {
  std::vector<double> values;
  for (std::int32_t row = 0; row < spec.rows; ++row) {
    append_row(values, purpose, {row, 0}, spec.cols);
  }
  for (double& value : values) {
    value = centre + spread * value;
    value = spec.matmul ? round_to_bfloat16(value) : static_cast<float>(value);
  }
  return values;
}

/// All device memory of one run.
class Memory {
 public:
  explicit Memory(Backend& backend) : backend_(backend) {}

  View matrix(const std::string& name, std::int64_t rows, std::int64_t cols, DType dtype) {
    const View shape{nullptr, rows, cols, dtype};
    return add(name, shape.bytes()).view(rows, cols, dtype);
  }
  View matrix(const std::string& name, std::int64_t rows, std::int64_t cols, DType dtype,
              const std::vector<double>& values) {
    const View view = matrix(name, rows, cols, dtype);
    upload(backend_, view, values);
    inputs_.push_back({name, view, download(backend_, view)});
    return view;
  }
  View integers(const std::string& name, const std::vector<std::int32_t>& values,
                std::int64_t cols = 1) {
    const View view =
        matrix(name, static_cast<std::int64_t>(values.size()) / cols, cols, DType::kInt32);
    backend_.upload(view, values.data());
    return view;
  }
  Bytes bytes(const std::string& name, std::size_t size) {
    return size == 0 ? Bytes{} : add(name, size).bytes();
  }

  void check() const {
    for (const auto& [name, buffer] : buffers_) {
      EXPECT_TRUE(buffer->sentinels_intact()) << "written outside of " << name;
    }
    for (const Input& input : inputs_) {
      EXPECT_EQ(download(backend_, input.view), input.values) << input.name << " was changed";
    }
  }

 private:
  struct Input {
    std::string name;
    View view;
    std::vector<double> values;
  };
  GuardedBuffer& add(const std::string& name, std::size_t size) {
    buffers_.emplace_back(name, std::make_unique<GuardedBuffer>(backend_, size));
    return *buffers_.back().second;
  }

  Backend& backend_;
  std::vector<std::pair<std::string, std::unique_ptr<GuardedBuffer>>> buffers_;
  std::vector<Input> inputs_;
};

Segments make_segments(const Batch& batch, Memory& memory) {
  Segments segments;
  segments.begins.push_back(0);
  for (const std::int32_t length : batch.lengths) {
    segments.begins.push_back(segments.begins.back() + length);
    segments.longest = std::max<std::int64_t>(segments.longest, length);
  }
  segments.position_limit = batch.position_count();
  segments.offsets = memory.integers("offsets", segments.begins);
  segments.records = memory.integers("records", batch.records);
  segments.positions = memory.integers("positions", batch.positions);
  return segments;
}

/// Padding between parameters is 0 and stays 0.
void check_gradient_padding(const Backend& backend, const Parameters& parameters) {
  std::vector<double> gradients = download(backend, parameters.gradients());
  for (const Parameters::Entry& entry : parameters.entries()) {
    const auto begin = gradients.begin() + entry.offset;
    std::fill(begin, begin + entry.rows * entry.cols, 0.0);
  }
  EXPECT_EQ(gradients, std::vector<double>(gradients.size(), 0.0)) << "padding was written to";
}

}  // namespace

Batch::Batch(std::vector<std::int32_t> lengths_of_sequences)
    : lengths(std::move(lengths_of_sequences)) {
  for (std::size_t sequence = 0; sequence < lengths.size(); ++sequence) {
    records.push_back(static_cast<std::int32_t>(7919 * sequence + 5));
    for (std::int32_t row = 0; row < lengths[sequence]; ++row) {
      positions.push_back(row + (row + static_cast<std::int32_t>(sequence)) / 3);
    }
  }
}

Batch Batch::select(const std::vector<std::size_t>& sequences) const {
  Batch part;
  for (const std::size_t sequence : sequences) {
    const auto place = static_cast<std::ptrdiff_t>(sequence);
    const auto first =
        positions.begin() + std::accumulate(lengths.begin(), lengths.begin() + place, 0);
    part.lengths.push_back(lengths[sequence]);
    part.records.push_back(records[sequence]);
    part.positions.insert(part.positions.end(), first, first + lengths[sequence]);
  }
  return part;
}

std::int64_t Batch::position_count() const {
  return positions.empty() ? 1 : 1 + *std::max_element(positions.begin(), positions.end());
}

std::vector<RowName> row_names(const Batch& batch) {
  std::vector<RowName> names;
  for (std::size_t sequence = 0; sequence < batch.lengths.size(); ++sequence) {
    for (std::int32_t row = 0; row < batch.lengths[sequence]; ++row) {
      names.push_back({batch.records[sequence], batch.positions[names.size()]});
    }
  }
  return names;
}

std::vector<RowName> sequence_names(const Batch& batch) {
  std::vector<RowName> names;
  for (const std::int32_t record : batch.records) names.push_back({record, 0});
  return names;
}

std::vector<RowName> select(const std::vector<RowName>& names,
                            const std::vector<std::int32_t>& index) {
  std::vector<RowName> part;
  for (const std::int32_t i : index) part.push_back(names.at(static_cast<std::size_t>(i)));
  return part;
}

OpCase& OpCase::freeze(const std::vector<std::string>& names) {
  name += "_frozen";
  for (ParameterSpec& parameter : parameters) {
    if (std::find(names.begin(), names.end(), parameter.name) != names.end()) {
      parameter.frozen = true;
      name += "_" + parameter.name;
    }
  }
  return *this;
}

OpCase& OpCase::rename(std::string suffix) {
  name += "_" + std::move(suffix);
  return *this;
}

Values make_inputs(const OpCase& op) {
  Values inputs;
  inputs["x"] = activation_values(1, op.x_rows, op.x_cols, op.x_spread);
  inputs["dx"] = activation_values(2, op.x_rows, op.x_cols, 0.5);
  inputs["dy"] =
      op.loss ? std::vector<double>{0.75, 0.0} : activation_values(3, op.y_rows, op.y_cols, 1.7);
  std::uint32_t purpose = 4;
  for (const ParameterSpec& spec : op.parameters) {
    inputs[spec.name] = parameter_values(purpose++, spec, spec.centre, spec.spread);
    inputs["d " + spec.name] = parameter_values(purpose++, spec, 0.0, 0.5);
  }
  return inputs;
}

Values run(const OpCase& op, const Values& inputs, Backend& backend, DType precision, Pass pass) {
  const DType activation = backend.activation_type(precision);
  const bool training = pass != Pass::kInference;
  const DType statistics = activation == DType::kFloat64 ? DType::kFloat64 : DType::kFloat32;
  const DType y_type = op.statistics ? statistics : activation;
  const DType x_type = op.x_statistics ? statistics : activation;
  const auto x_rows = static_cast<std::int64_t>(op.x_rows.size());
  const auto y_rows = op.loss ? 1 : static_cast<std::int64_t>(op.y_rows.size());
  Memory memory(backend);
  Parameters parameters(backend, statistics);
  Call call{.backend = backend, .activation = activation};

  for (const ParameterSpec& spec : op.parameters) {
    parameters.declare({spec.name}, spec.rows, spec.cols, {}, spec.matmul, {.frozen = spec.frozen});
  }
  if (!op.parameters.empty()) {
    parameters.allocate(training);
    int next = 0;
    for (const ParameterSpec& spec : op.parameters) {
      const Parameter parameter = parameters.get(next++);
      upload(backend, parameter.value, inputs.at(spec.name));
      if (parameter.gradient.data != nullptr) {
        upload(backend, parameter.gradient, inputs.at("d " + spec.name));
      }
      call.parameters[spec.name] = parameter;
    }
    backend.refresh_weights(parameters, precision, training);
  }

  call.segments = make_segments(op.batch, memory);
  if (op.ids.given) call.ids = memory.integers("ids", op.ids.values);
  if (op.index.given) call.index = memory.integers("index", op.index.values);
  if (op.targets.given) {
    call.targets = memory.integers("targets", op.targets.values, op.targets.cols);
  }
  if (op.x_cols > 0) call.x = memory.matrix("x", x_rows, op.x_cols, x_type, inputs.at("x"));
  call.y = memory.matrix("y", y_rows, op.y_cols, y_type);
  const KernelMemory needed = op.memory ? op.memory(call, training) : KernelMemory{};
  EXPECT_TRUE(training || needed.saved == 0) << "inference saves something";
  call.saved = memory.bytes("saved", needed.saved);
  call.scratch = memory.bytes("forward scratch", needed.forward_scratch);
  op.forward(call);

  Values results;
  const std::vector<double> y = download(backend, call.y);
  if (op.loss) {
    results["loss"] = {y[0]};
    results["hits"] = {y[1]};
  } else {
    results["y"] = y;
  }
  if (pass == Pass::kBoth) {
    const std::vector<double>& dy = inputs.at("dy");
    if (op.loss) {
      call.loss_weight = dy[0];
    } else {
      call.dy = memory.matrix("dy", y_rows, op.y_cols, y_type, dy);
    }
    if (op.wants_dx) {
      call.dx = memory.matrix("dx", x_rows, op.x_cols, x_type);
      if (op.accumulate) upload(backend, call.dx, inputs.at("dx"));
    }
    call.scratch = memory.bytes("backward scratch", needed.backward_scratch);
    op.backward(call);
    EXPECT_EQ(download(backend, call.y), y) << "y was changed by the backward pass";
    if (op.wants_dx) results["dx"] = download(backend, call.dx);
    for (const auto& [name, parameter] : call.parameters) {
      EXPECT_EQ(download(backend, parameter.value), inputs.at(name)) << name << " was changed";
      if (parameter.gradient.data != nullptr) {
        results["d " + name] = download(backend, parameter.gradient);
      }
    }
    if (!op.parameters.empty()) check_gradient_padding(backend, parameters);
  }
  memory.check();
  return results;
}

}  // namespace barcodemae::test
