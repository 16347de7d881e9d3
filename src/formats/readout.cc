// SPDX-License-Identifier: MIT
#include "formats/readout.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "barcodemae_version.h"
#include "base/error.h"
#include "formats/safetensors.h"

namespace barcodemae {
namespace {

constexpr const char* kMean = "readout.mean";
constexpr const char* kMatrix = "readout.matrix";

}  // namespace

Readout::Readout(std::vector<float> mean, Matrix matrix)
    : mean_(std::move(mean)), matrix_(std::move(matrix)), columns_(matrix_.values.size()) {
  BARCODEMAE_CHECK(matrix_.rows > 0 && matrix_.cols == inputs() && inputs() > 0,
                   "a readout [{}, {}] with a mean of {}", matrix_.rows, matrix_.cols, inputs());
  for (std::int64_t row = 0; row < matrix_.rows; ++row) {
    for (std::int64_t col = 0; col < matrix_.cols; ++col) {
      columns_[static_cast<std::size_t>(col * matrix_.rows + row)] =
          matrix_.row(row)[static_cast<std::size_t>(col)];
    }
  }
}

void Readout::apply(std::span<const float> vector, std::span<float> result) const {
  BARCODEMAE_CHECK(
      vector.size() == mean_.size() && static_cast<std::int64_t>(result.size()) == matrix_.rows,
      "{} numbers to {} by a readout of {} to {}", vector.size(), result.size(), inputs(),
      dimensions());
  // Column by column: neighbouring sums are independent, so that they fit SIMD lanes.
  std::vector<double> sums(result.size(), 0.0);
  const float* column = columns_.data();
  for (std::size_t i = 0; i < vector.size(); ++i, column += result.size()) {
    const double centred = double{vector[i]} - double{mean_[i]};
    for (std::size_t d = 0; d < sums.size(); ++d) sums[d] += centred * double{column[d]};
  }
  std::transform(sums.begin(), sums.end(), result.begin(),
                 [](double sum) { return static_cast<float>(sum); });
}

void write_readout(const std::filesystem::path& path, const Readout& readout) {
  write_safetensors(path,
                    {{kMean, StoredType::kF32, {readout.inputs()}, readout.mean(), {}},
                     {kMatrix,
                      StoredType::kF32,
                      {readout.dimensions(), readout.inputs()},
                      readout.matrix().values,
                      {}}},
                    {{"written_by", "barcodemae " BARCODEMAE_VERSION}});
}

Readout parse_readout(const std::string& content, const std::string& source, int inputs,
                      int dimensions) {
  const auto* const bytes = reinterpret_cast<const std::byte*>(content.data());
  const SafetensorsFile file =
      SafetensorsFile::from_memory({bytes, bytes + content.size()}, source);
  for (const auto& [name, entry] : file.entries()) {
    if (name != kMean && name != kMatrix) {
      throw UserError(
          "{}: tensor \"{}\" does not belong to a readout\nCopy the whole model folder.", source,
          name);
    }
  }
  Matrix matrix{dimensions, inputs, file.floats(kMatrix, dimensions, inputs)};
  std::vector<float> mean = file.floats(kMean, 1, inputs);
  for (const std::vector<float>* values : {&mean, &matrix.values}) {
    if (!std::all_of(values->begin(), values->end(), [](float v) { return std::isfinite(v); })) {
      throw UserError("{}: it holds numbers that are not finite\nMake it again: barcodemae whiten",
                      source);
    }
  }
  return {std::move(mean), std::move(matrix)};
}

}  // namespace barcodemae
