// SPDX-License-Identifier: MIT
#include "guarded_buffer.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace barcodemae::test {
namespace {

constexpr std::uint16_t kPoison = 0xFFFF;    // a NaN in bfloat16, and repeated in float and double
constexpr std::uint16_t kSentinel = 0xFFA5;  // the same, but not what a kernel would write

std::uint16_t bfloat16_bits(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

double from_bfloat16_bits(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

template <typename T>
std::vector<double> download_as(const Backend& backend, View source) {
  std::vector<T> values(static_cast<std::size_t>(source.size()));
  backend.download(values.data(), source);
  return {values.begin(), values.end()};
}

}  // namespace

GuardedBuffer::GuardedBuffer(Backend& backend, std::size_t bytes)
    : backend_(backend), size_(bytes) {
  memory_ = backend.allocate(everything().bytes());
  std::vector<std::uint16_t> words(static_cast<std::size_t>(everything().size()), kSentinel);
  const auto begin = words.begin() + kGuard / 2;
  std::fill(begin, begin + static_cast<std::ptrdiff_t>(size_ / 2), kPoison);
  backend_.upload(everything(), words.data());
}

GuardedBuffer::~GuardedBuffer() { backend_.release(memory_, everything().bytes()); }

bool GuardedBuffer::sentinels_intact() const {
  std::vector<std::uint16_t> words(static_cast<std::size_t>(everything().size()));
  backend_.download(words.data(), everything());
  const auto intact = [](std::uint16_t word) { return word == kSentinel; };
  const auto begin = words.begin() + kGuard / 2;
  const auto end = begin + static_cast<std::ptrdiff_t>(size_ / 2);
  return std::all_of(words.begin(), begin, intact) && std::all_of(end, words.end(), intact);
}

// As 16-bit words: every type is a whole number of them.
View GuardedBuffer::everything() const {
  return {memory_, 1, static_cast<std::int64_t>((2 * kGuard + size_ + 1) / 2), DType::kBFloat16};
}

void upload(Backend& backend, View destination, const std::vector<double>& values) {
  if (static_cast<std::int64_t>(values.size()) != destination.size()) {
    throw std::logic_error("a test uploads a matrix of another size");
  }
  if (destination.dtype == DType::kFloat64) {
    backend.upload(destination, values.data());
  } else if (destination.dtype == DType::kFloat32) {
    const std::vector<float> narrow(values.begin(), values.end());
    backend.upload(destination, narrow.data());
  } else {
    std::vector<std::uint16_t> narrow(values.size());
    std::transform(values.begin(), values.end(), narrow.begin(), bfloat16_bits);
    backend.upload(destination, narrow.data());
  }
}

std::vector<double> download(const Backend& backend, View source) {
  if (source.dtype == DType::kFloat64) return download_as<double>(backend, source);
  if (source.dtype == DType::kFloat32) return download_as<float>(backend, source);
  std::vector<double> values = download_as<std::uint16_t>(backend, source);
  for (double& value : values) value = from_bfloat16_bits(static_cast<std::uint16_t>(value));
  return values;
}

double round_to_bfloat16(double value) { return from_bfloat16_bits(bfloat16_bits(value)); }

}  // namespace barcodemae::test
