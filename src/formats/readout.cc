// SPDX-License-Identifier: MIT
#include "formats/readout.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "barcodemae_version.h"
#include "base/error.h"

namespace barcodemae {
namespace {

constexpr const char* kMean = "readout.mean";
constexpr const char* kMatrix = "readout.matrix";
constexpr const char* kHiddenIn = "readout.hidden.in";
constexpr const char* kHiddenOut = "readout.hidden.out";

}  // namespace

void write_readout(const std::filesystem::path& path, const Readout& readout, StoredType type) {
  const auto stored = [type](const char* name, const Matrix& matrix) {
    return TensorToWrite{name, type, {matrix.rows, matrix.cols}, matrix.values, {}};
  };
  std::vector<TensorToWrite> tensors{
      {kMean, StoredType::kF32, {readout.inputs()}, readout.mean, {}},
      stored(kMatrix, readout.matrix)};
  if (readout.hidden_units() > 0) {
    tensors.push_back(stored(kHiddenIn, readout.hidden.in));
    tensors.push_back(stored(kHiddenOut, readout.hidden.out));
  }
  write_safetensors(path, tensors, {{"written_by", "barcodemae " BARCODEMAE_VERSION}});
}

Readout parse_readout(const std::string& content, const std::string& source,
                      const ReadoutShape& shape) {
  const auto* const bytes = reinterpret_cast<const std::byte*>(content.data());
  const SafetensorsFile file =
      SafetensorsFile::from_memory({bytes, bytes + content.size()}, source);
  for (const auto& [name, entry] : file.entries()) {
    const bool hidden = name == kHiddenIn || name == kHiddenOut;
    if (name != kMean && name != kMatrix && !(hidden && shape.hidden_units > 0)) {
      throw UserError(
          "{}: tensor \"{}\" does not belong to a readout\nCopy the whole model folder.", source,
          name);
    }
  }
  const auto values = [&](const char* name, const std::vector<std::int64_t>& sizes) {
    const auto found = file.entries().find(name);
    if (found == file.entries().end() || found->second.shape != sizes ||
        found->second.type == StoredType::kI8) {
      throw UserError(
          "{}: a tensor \"{}\" of shape [{}] in float32 or bfloat16 is expected\n"
          "Copy the whole model folder.",
          source, name, fmt::join(sizes, ", "));
    }
    return file.floats(name, sizes.size() == 1 ? 1 : sizes.front(), sizes.back());
  };
  const auto matrix = [&](const char* name, std::int64_t rows, std::int64_t cols) {
    return Matrix{rows, cols, values(name, {rows, cols})};
  };
  Readout readout{values(kMean, {shape.inputs}), matrix(kMatrix, shape.dimensions, shape.inputs)};
  if (shape.hidden_units > 0) {
    readout.hidden = {matrix(kHiddenIn, shape.hidden_units, shape.inputs),
                      matrix(kHiddenOut, shape.dimensions, shape.hidden_units)};
  }
  for (const std::vector<float>* all : {&readout.mean, &readout.matrix.values,
                                        &readout.hidden.in.values, &readout.hidden.out.values}) {
    if (!std::all_of(all->begin(), all->end(), [](float v) { return std::isfinite(v); })) {
      throw UserError("{}: it holds numbers that are not finite\nMake it again: barcodemae whiten",
                      source);
    }
  }
  return readout;
}

}  // namespace barcodemae
