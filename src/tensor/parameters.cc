// SPDX-License-Identifier: MIT
#include "tensor/parameters.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/fnv1a.h"
#include "base/threads.h"
#include "tensor/backend.h"

namespace barcodemae {
namespace {

constexpr std::int64_t kPadding = 16;  // elements: each entry begins on a cache line

// Uniform in (0, 1), symmetric about ½.
double uniform(std::uint32_t word) { return (word + 0.5) * 0x1.0p-32; }

// Four standard normal numbers (Box and Muller) or four uniform ones in ±1.
std::array<double, 4> draw(Initialisation::Kind kind, const std::array<std::uint32_t, 4>& words) {
  std::array<double, 4> values;
  for (std::size_t i = 0; i < 4; i += 2) {
    if (kind == Initialisation::Kind::kNormal) {
      const double radius = std::sqrt(-2.0 * std::log(uniform(words[i])));
      const double angle = 2.0 * std::numbers::pi * uniform(words[i + 1]);
      values[i] = radius * std::cos(angle);
      values[i + 1] = radius * std::sin(angle);
    } else {
      values[i] = 2.0 * uniform(words[i]) - 1.0;
      values[i + 1] = 2.0 * uniform(words[i + 1]) - 1.0;
    }
  }
  return values;
}

// Elements 4 · block … of a name come from one Philox block whose counter holds the name's hash.
void fill(std::vector<float>& values, const Initialisation& initialisation, std::uint64_t seed,
          const std::string& name) {
  using Kind = Initialisation::Kind;
  if (initialisation.kind == Kind::kZero || initialisation.kind == Kind::kOne) {
    std::fill(values.begin(), values.end(), initialisation.kind == Kind::kOne ? 1.0f : 0.0f);
    return;
  }
  const std::uint64_t hash = fnv1a(name);
  constexpr std::size_t kPiece = 1 << 14;
  const std::size_t pieces = (values.size() + kPiece - 1) / kPiece;
  parallel_for(static_cast<std::int64_t>(pieces), [&](std::int64_t piece, int) {
    const std::size_t begin = static_cast<std::size_t>(piece) * kPiece;
    const std::size_t end = std::min(begin + kPiece, values.size());
    for (std::size_t i = begin; i < end; i += 4) {
      const std::array<double, 4> numbers =
          draw(initialisation.kind,
               philox4x32({static_cast<std::uint32_t>(Stream::kInitialisation),
                           static_cast<std::uint32_t>(hash), static_cast<std::uint32_t>(hash >> 32),
                           static_cast<std::uint32_t>(i / 4)},
                          seed));
      for (std::size_t lane = 0; lane < 4 && i + lane < end; ++lane) {
        values[i + lane] = static_cast<float>(numbers[lane] * initialisation.scale);
      }
    }
  });
}

View allocate_flat(Backend& backend, std::int64_t count, DType dtype) {
  View view{nullptr, 1, count, dtype};
  view.data = backend.allocate(view.bytes());
  return view;
}

View block(View flat, std::int64_t offset, std::int64_t rows, std::int64_t cols) {
  auto* data =
      static_cast<std::byte*>(flat.data) + static_cast<std::size_t>(offset) * size_of(flat.dtype);
  return {data, rows, cols, flat.dtype};
}

}  // namespace

Parameters::Parameters(Backend& backend, DType dtype) : backend_(backend), dtype_(dtype) {
  BARCODEMAE_CHECK(dtype == DType::kFloat32 || dtype == DType::kFloat64, "parameters in {}",
                   to_string(dtype));
}

Parameters::~Parameters() {
  if (values_.data != nullptr) backend_.forget_weights(*this);
  for (const View view : {values_, gradients_, first_moments_, second_moments_}) {
    if (view.data != nullptr) backend_.release(view.data, view.bytes());
  }
}

int Parameters::declare(std::vector<std::string> names, std::int64_t rows, std::int64_t cols,
                        Initialisation initialisation, bool matmul, ParameterOptions options) {
  BARCODEMAE_CHECK(values_.data == nullptr, "{} declared after allocate()", names.at(0));
  BARCODEMAE_CHECK(
      rows > 0 && cols > 0 && !names.empty() && rows % static_cast<std::int64_t>(names.size()) == 0,
      "{} x {} in {} blocks", rows, cols, names.size());
  for (const Entry& entry : entries_) {
    for (const std::string& name : names) {
      BARCODEMAE_CHECK(std::find(entry.names.begin(), entry.names.end(), name) == entry.names.end(),
                       "two parameters are called {}", name);
    }
  }
  entries_.push_back(
      {std::move(names), rows, cols, padded_count_, initialisation, options, matmul});
  padded_count_ += (rows * cols + kPadding - 1) / kPadding * kPadding;
  return static_cast<int>(entries_.size()) - 1;
}

void Parameters::allocate(bool training) {
  BARCODEMAE_CHECK(values_.data == nullptr, "allocated twice");
  BARCODEMAE_CHECK(padded_count_ > 0, "nothing was declared");
  values_ = allocate_flat(backend_, padded_count_, dtype_);
  if (training) {
    gradients_ = allocate_flat(backend_, padded_count_, dtype_);
    first_moments_ = allocate_flat(backend_, padded_count_, dtype_);
    second_moments_ = allocate_flat(backend_, padded_count_, dtype_);
  }
}

void Parameters::initialise(std::uint64_t seed) {
  std::vector<float> values;
  for (const Entry& entry : entries_) {
    const auto blocks = static_cast<std::int64_t>(entry.names.size());
    values.resize(static_cast<std::size_t>(entry.rows / blocks * entry.cols));
    for (const std::string& name : entry.names) {
      fill(values, entry.initialisation, seed, name);
      upload(name, values);
    }
  }
  for (const View view : {gradients_, first_moments_, second_moments_}) {
    if (view.data != nullptr) backend_.zero(view);
  }
}

Parameter Parameters::get(int index) const {
  BARCODEMAE_CHECK(values_.data != nullptr, "get() before allocate()");
  const Entry& entry = entries_.at(static_cast<std::size_t>(index));
  Parameter parameter{block(values_, entry.offset, entry.rows, entry.cols), {}, index};
  parameter.gradient = parameter.value;
  parameter.gradient.data = nullptr;
  if (training() && !entry.options.frozen) {
    parameter.gradient = block(gradients_, entry.offset, entry.rows, entry.cols);
  }
  return parameter;
}

std::int64_t Parameters::count() const {
  std::int64_t count = 0;
  for (const Entry& entry : entries_) count += entry.rows * entry.cols;
  return count;
}

View Parameters::slice(View flat, const std::string& name) const {
  BARCODEMAE_CHECK(flat.data != nullptr, "there is no memory behind {}", name);
  for (const Entry& entry : entries_) {
    const auto place = std::find(entry.names.begin(), entry.names.end(), name);
    if (place == entry.names.end()) continue;
    const std::int64_t rows = entry.rows / static_cast<std::int64_t>(entry.names.size());
    const std::int64_t first = (place - entry.names.begin()) * rows;
    return block(flat, entry.offset + first * entry.cols, rows, entry.cols);
  }
  BARCODEMAE_CHECK(false, "no parameter is called {}", name);
}

void Parameters::upload(const std::string& name, std::span<const float> values) {
  const View target = slice(values_, name);
  BARCODEMAE_CHECK(static_cast<std::int64_t>(values.size()) == target.size(),
                   "{} has {} values, given {}", name, target.size(), values.size());
  if (dtype_ == DType::kFloat32) {
    backend_.upload(target, values.data());
  } else {
    const std::vector<double> wide(values.begin(), values.end());
    backend_.upload(target, wide.data());
  }
}

std::vector<float> Parameters::download(const std::string& name) const {
  return to_host(slice(values_, name));
}

std::vector<float> Parameters::download_gradient(const std::string& name) const {
  return to_host(slice(gradients_, name));
}

std::vector<float> Parameters::to_host(View view) const {
  std::vector<float> values(static_cast<std::size_t>(view.size()));
  if (view.dtype == DType::kFloat32) {
    backend_.download(values.data(), view);
  } else {
    std::vector<double> wide(values.size());
    backend_.download(wide.data(), view);
    std::transform(wide.begin(), wide.end(), values.begin(),
                   [](double value) { return static_cast<float>(value); });
  }
  return values;
}

std::vector<Parameters::NamedShape> Parameters::names() const {
  std::vector<NamedShape> shapes;
  for (const Entry& entry : entries_) {
    const std::int64_t rows = entry.rows / static_cast<std::int64_t>(entry.names.size());
    for (const std::string& name : entry.names) {
      shapes.push_back({name, rows, entry.cols, entry.matmul});
    }
  }
  return shapes;
}

}  // namespace barcodemae
