// SPDX-License-Identifier: MIT
// Every kernel is run at every instruction-set level this machine has and compared with plain loops
// in double written here. Inputs are rounded to the type under test first, so that only the
// kernel's own arithmetic and its final rounding count:
//   float32: 2⁻²⁴ a rounding; sums of up to 4,096 terms in 4 to 64 partial sums lose a few times
//   that of their largest term. Tolerance 2⁻¹⁸ = 4e-6 of the largest value of the result.
//   bfloat16: 2⁻⁹ a rounding of the result, and where intermediate values are rounded too
//   (attention with BF16 instructions) twice or three times that. Tolerance 2⁻⁷ = 8e-3 of the
//   largest value.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <string>
#include <type_traits>
#include <vector>

#include "backend/cpu/kernels/kernels.h"
#include "base/random.h"

namespace barcodemae::cpu {

inline double round_to(DType type, double x) {
  const auto narrow = static_cast<float>(x);
  if (type != DType::kBFloat16) return static_cast<double>(narrow);
  std::uint32_t bits;
  std::memcpy(&bits, &narrow, sizeof bits);
  bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000;
  float rounded;
  std::memcpy(&rounded, &bits, sizeof rounded);
  return static_cast<double>(rounded);
}

using Doubles = std::vector<double>;

/// Numbers uniform in ±scale that `type` can hold.
inline Doubles random_values(std::int64_t count, std::uint32_t name, double scale = 1,
                             DType type = DType::kFloat32) {
  RandomSequence random(7, Stream::kSimulate, name);
  Doubles values(static_cast<std::size_t>(count));
  for (double& v : values) v = round_to(type, (random.uniform() * 2 - 1) * scale);
  return values;
}

inline double gelu(double z) { return 0.5 * z * std::erfc(-z * std::numbers::sqrt2 / 2); }

/// An array of `type` between guards; whoever writes outside is found by intact().
class Guarded {
 public:
  Guarded(DType type, std::int64_t count)
      : type_(type), count_(count), bytes_(bytes() + 2 * kGuard, kPattern) {}
  Guarded(DType type, const Doubles& values)
      : Guarded(type, static_cast<std::int64_t>(values.size())) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto narrow = static_cast<float>(values[i]);
      std::uint32_t bits;
      std::memcpy(&bits, &narrow, sizeof bits);
      if (type == DType::kBFloat16) {
        const auto half = static_cast<std::uint16_t>(bits >> 16);
        std::memcpy(data<char>() + 2 * i, &half, sizeof half);
      } else {
        std::memcpy(data<char>() + 4 * i, &bits, sizeof bits);
      }
    }
  }

  template <typename T = void>
  T* data() {
    return reinterpret_cast<T*>(bytes_.data() + kGuard);
  }
  float* floats() { return data<float>(); }

  Doubles values() {
    Doubles out(static_cast<std::size_t>(count_));
    for (std::size_t i = 0; i < out.size(); ++i) {
      std::uint32_t bits = 0;
      if (type_ == DType::kBFloat16) {
        std::uint16_t half;
        std::memcpy(&half, data<char>() + 2 * i, sizeof half);
        bits = std::uint32_t{half} << 16;
      } else {
        std::memcpy(&bits, data<char>() + 4 * i, sizeof bits);
      }
      float narrow;
      std::memcpy(&narrow, &bits, sizeof narrow);
      out[i] = static_cast<double>(narrow);
    }
    return out;
  }

  bool intact() const {
    for (std::size_t i = 0; i < kGuard; ++i) {
      if (bytes_[i] != kPattern || bytes_[bytes_.size() - 1 - i] != kPattern) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kGuard = 256;
  static constexpr unsigned char kPattern = 0xA5;
  std::size_t bytes() const { return static_cast<std::size_t>(count_) * size_of(type_); }

  DType type_;
  std::int64_t count_;
  std::vector<unsigned char> bytes_;
};

/// Largest difference relative to the largest expected value; infinite where a number is none.
inline double relative_error(const Doubles& actual, const Doubles& expected) {
  EXPECT_EQ(actual.size(), expected.size());
  double largest = 1e-30, difference = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    const double d = std::abs(actual[i] - expected[i]);
    if (std::isnan(d)) return std::numeric_limits<double>::infinity();
    difference = std::max(difference, d);
  }
  return difference / largest;
}

inline double tolerance(DType type) { return type == DType::kBFloat16 ? 0x1p-7 : 0x1p-18; }

/// Runs every test with every level and type.
struct Variant {
  SimdLevel level;
  DType type;
};
inline std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (int level = 0; level <= static_cast<int>(machine().simd); ++level) {
    for (DType type : {DType::kFloat32, DType::kBFloat16}) {
      all.push_back({static_cast<SimdLevel>(level), type});
    }
  }
  return all;
}
inline std::string variant_name(const testing::TestParamInfo<Variant>& info) {
  return std::string(to_string(info.param.level)) +
         (info.param.type == DType::kBFloat16 ? "_bf16" : "_f32");
}

class KernelTest : public testing::TestWithParam<Variant> {
 protected:
  const DType type = GetParam().type;
  const Kernels& k = kernels(GetParam().level);
};

/// What struct Dropout of tensor/backend.h documents: true when the element is kept.
inline bool kept_by_definition(const DropoutStream& d, std::uint32_t record, std::uint32_t position,
                               std::uint32_t channel) {
  const auto words = philox4x32({d.stream, d.step, record, position << 16 | channel / 8}, d.seed);
  const std::uint32_t lane = channel % 8;
  return (words[lane / 2] >> (lane % 2 * 16) & 0xFFFF) >= d.threshold;
}

inline DropoutStream test_dropout(std::uint32_t threshold) {
  return {.seed = 0x123456789ABCDEF0,
          .stream = static_cast<std::uint32_t>(Stream::kDropout) + 3,
          .step = 5,
          .threshold = threshold,
          .scale = 65536.0f / static_cast<float>(65536 - threshold)};
}

}  // namespace barcodemae::cpu
