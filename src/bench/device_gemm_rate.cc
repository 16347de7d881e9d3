// SPDX-License-Identifier: MIT
#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdint>
#include <vector>

#include "base/median.h"
#include "base/random.h"
#include "bench/gemm_rate.h"
#include "tensor/parameters.h"

namespace barcodemae {
namespace {

constexpr std::int64_t kLargest = 8192, kSmallest = 128;
constexpr std::int64_t kBatchRows = 512 * 110;
constexpr double kLongEnough = 0.012;  // seconds; eight times that are still tolerable

/// Uniform in ±1.
std::vector<float> random_values(std::int64_t count) {
  RandomSequence random(1, Stream::kSimulate);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) {
    value = static_cast<float>(random.below(1u << 16)) / 32768.0f - 1.0f;
  }
  return values;
}

void upload(Backend& backend, View destination) {
  const std::vector<float> values = random_values(destination.size());
  if (destination.dtype == DType::kFloat32) return backend.upload(destination, values.data());
  std::vector<std::uint16_t> halves;
  halves.reserve(values.size());
  for (const float value : values) {
    halves.push_back(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16));
  }
  backend.upload(destination, halves.data());
}

/// Products of one shape.
class Product {
 public:
  Product(Backend& backend, DType precision, std::int64_t rows, std::int64_t out, std::int64_t in)
      : backend_(backend), parameters_(backend) {
    const int weight = parameters_.declare({"weight"}, out, in, {}, /*matmul=*/true);
    const int bias = parameters_.declare({"bias"}, 1, out, {});
    parameters_.allocate(/*training=*/false);
    parameters_.initialise(1);  // zeros
    parameters_.upload("weight", random_values(out * in));
    backend.refresh_weights(parameters_, precision, /*backward=*/false);
    layer_ = {parameters_.get(weight), parameters_.get(bias)};
    const DType type = backend.activation_type(precision);
    const auto bytes = [&](std::int64_t columns) {
      return static_cast<std::size_t>(rows * columns) * size_of(type);
    };
    x_ = {backend.allocate(bytes(in)), rows, in, type};
    y_ = {backend.allocate(bytes(out)), rows, out, type};
    upload(backend, x_);
  }
  ~Product() {
    backend_.forget_weights(parameters_);
    backend_.release(x_.data, x_.bytes());
    backend_.release(y_.data, y_.bytes());
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  /// Seconds of one of `count` products.
  double seconds(int count) {
    wait();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) backend_.linear_forward(y_, x_, layer_);
    wait();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    return time.count() / count;
  }
  double gflops(double seconds) const {
    return 2e-9 * static_cast<double>(y_.size()) * static_cast<double>(x_.cols) / seconds;
  }

 private:
  void wait() {
    float first[1];
    backend_.download(first, {y_.data, 1, 1, y_.dtype});
  }

  Backend& backend_;
  Parameters parameters_;
  LinearLayer layer_;
  View x_, y_;
};

/// Median of the repeats, each of as many products as take about 50 ms; one will do of slow ones.
double rate(Product& product, int repeats) {
  const double first = product.seconds(1);
  if (first > 0.1) repeats = 1;
  const int count =
      first > 0.1 ? 1 : std::clamp(static_cast<int>(0.05 / product.seconds(2)), 1, 1000);
  std::vector<double> times(static_cast<std::size_t>(repeats));
  for (double& time : times) time = product.seconds(count);
  return product.gflops(median(times));
}

}  // namespace

GemmRate measure_device_gemm_rate(Backend& backend, DType precision, int repeats) {
  std::int64_t size = kSmallest;
  for (; size < kLargest; size *= 2) {
    Product product(backend, precision, size, size, size);
    product.seconds(1);
    if (product.seconds(1) > kLongEnough) break;
  }
  const std::int64_t rows = size == kLargest ? kBatchRows : size;
  const int square = static_cast<int>(size);
  GemmRate result;
  result.shapes = {{"square", square, square},
                   {"query, key, value", 2304, 768},
                   {"attention output", 768, 768},
                   {"feed-forward in", 3072, 768},
                   {"feed-forward out", 768, 3072}};
  for (GemmRate::Shape& shape : result.shapes) {
    shape.rows = &shape == &result.shapes.front() ? size : rows;
    Product product(backend, precision, shape.rows, shape.out, shape.in);
    shape.gflops = rate(product, repeats);
  }
  result.gflops = result.shapes.front().gflops;
  return result;
}

}  // namespace barcodemae
