// SPDX-License-Identifier: MIT
// Times the CPU kernels on one thread at every instruction-set level of this machine, best of many
// repeats, at the sizes of the paper's model: attention of the encoder (55 visible tokens) and the
// 64; 768 / 6 = 128 wide in the paper) and the decoder (110 tokens), and rows of 768 and 3,072.
#include "backend/cpu/kernels/kernels.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

#include "base/random.h"

namespace barcodemae::cpu {
namespace {

/// Microseconds of the fastest of several repeats of about 2 ms.
double best_microseconds(const std::function<void()>& body) {
  using Clock = std::chrono::steady_clock;
  const auto seconds = [&](int calls) {
    const auto begin = Clock::now();
    for (int i = 0; i < calls; ++i) body();
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  int calls = 1;
  while (seconds(calls) < 0.002) calls *= 2;
  double best = 1e30;
  for (int repeat = 0; repeat < 15; ++repeat) best = std::min(best, seconds(calls) / calls);
  return best * 1e6;
}

/// 64-byte aligned memory full of numbers in ±1 of the type.
class Memory {
 public:
  Memory(DType type, std::int64_t count)
      : bytes_(static_cast<std::size_t>(count) * size_of(type) + 128) {
    RandomSequence random(1, Stream::kSimulate);
    for (std::int64_t i = 0; i < count; ++i) {
      const auto value = static_cast<float>(random.uniform() * 2 - 1);
      const auto index = static_cast<std::size_t>(i);
      if (type == DType::kBFloat16) {
        std::uint32_t bits;
        std::memcpy(&bits, &value, sizeof bits);
        const auto half = static_cast<std::uint16_t>(bits >> 16);
        std::memcpy(static_cast<char*>(data()) + 2 * index, &half, sizeof half);
      } else {
        std::memcpy(static_cast<char*>(data()) + 4 * index, &value, sizeof value);
      }
    }
  }
  void* data() {
    return reinterpret_cast<void*>((reinterpret_cast<std::uintptr_t>(bytes_.data()) + 63) &
                                   ~std::uintptr_t{63});
  }
  float* floats() { return static_cast<float*>(data()); }

 private:
  std::vector<char> bytes_;
};

void time_attention(const Kernels& k, DType type, std::int64_t tokens, std::int64_t head_size,
                    std::uint32_t threshold) {
  const std::int64_t heads = 768 / head_size, width = heads * head_size;
  Memory qkv(type, tokens * 3 * width), dqkv(type, tokens * 3 * width),
      context(type, tokens * width), dcontext(type, tokens * width),
      log_sum_exp(DType::kFloat32, tokens * heads);
  Memory scratch(DType::kFloat32, static_cast<std::int64_t>(std::max(
                                      k.attention_forward_scratch(tokens, head_size, type),
                                      k.attention_backward_scratch(tokens, head_size, type))) /
                                          4 +
                                      1);
  std::vector<std::int32_t> positions(static_cast<std::size_t>(tokens));
  const auto at = [&](Memory& m, std::int64_t column) {
    return static_cast<char*>(m.data()) + static_cast<std::size_t>(column) * size_of(type);
  };
  const auto forward = [&](std::int64_t head) {
    const std::int64_t column = head * head_size;
    return AttentionForward{.tokens = tokens,
                            .head_size = head_size,
                            .type = type,
                            .query = at(qkv, column),
                            .key = at(qkv, width + column),
                            .value = at(qkv, 2 * width + column),
                            .stride = 3 * width,
                            .context = at(context, column),
                            .context_stride = width,
                            .scale = 0.1f,
                            .log_sum_exp = log_sum_exp.floats() + head * tokens,
                            .dropout = {.threshold = threshold, .scale = 1.1f},
                            .positions = positions.data(),
                            .head = static_cast<std::uint32_t>(head),
                            .scratch = scratch.data()};
  };
  const double forward_time = best_microseconds([&] {
    for (std::int64_t h = 0; h < heads; ++h) k.attention_forward(forward(h));
  });
  const double backward_time = best_microseconds([&] {
    for (std::int64_t h = 0; h < heads; ++h) {
      const std::int64_t column = h * head_size;
      k.attention_backward({.forward = forward(h),
                            .dcontext = at(dcontext, column),
                            .dcontext_stride = width,
                            .dquery = at(dqkv, column),
                            .dkey = at(dqkv, width + column),
                            .dvalue = at(dqkv, 2 * width + column),
                            .dstride = 3 * width,
                            .scratch = scratch.data()});
    }
  });
  const double flops = 2.0 * static_cast<double>(tokens * tokens * width);
  fmt::print(
      "  attention n={:<4} d={:<3} {}: forward {:7.1f} us {:6.0f} GFLOP/s, "
      "backward {:7.1f} us {:6.0f} GFLOP/s\n",
      tokens, head_size, threshold ? "dropout" : "       ", forward_time,
      2 * flops / forward_time * 1e-3, backward_time, 5 * flops / backward_time * 1e-3);
}

void time_rows(const Kernels& k, DType type) {
  const std::int64_t rows = 256, width = 768, wide = 3072;
  std::vector<std::int32_t> zeros(static_cast<std::size_t>(rows));
  std::vector<std::uint8_t> keep(keep_bytes(rows, width));
  const DType f32 = DType::kFloat32;
  Memory x(type, rows * width), y(type, rows * width), product(f32, rows * width),
      vector(f32, wide), statistics(f32, rows), sums(f32, wide), scratch(f32, 4 * wide),
      hidden(type, rows * wide), hidden_out(type, rows * wide);
  const auto report = [&](const char* what, std::int64_t elements, double time) {
    fmt::print("  {:<26} {:7.1f} us, {:5.2f} ns per 16\n", what, time,
               time * 16e3 / static_cast<double>(elements));
  };
  report("dropout bits 256x768", rows * width, best_microseconds([&] {
           k.keep_bits({.rows = rows,
                        .cols = width,
                        .dropout = {.threshold = 6554},
                        .records = zeros.data(),
                        .positions = zeros.data(),
                        .keep = keep.data()});
         }));
  report("residual norm forward", rows * width, best_microseconds([&] {
           k.residual_norm_forward({.rows = rows,
                                    .cols = width,
                                    .type = type,
                                    .product_type = f32,
                                    .y = y.data(),
                                    .x = x.data(),
                                    .product = product.data(),
                                    .bias = vector.floats(),
                                    .keep = keep.data(),
                                    .keep_scale = 1.1f,
                                    .gamma = vector.floats(),
                                    .beta = vector.floats(),
                                    .mean = statistics.floats(),
                                    .rstd = statistics.floats(),
                                    .sum = hidden.data(),
                                    .scratch = scratch.floats()});
         }));
  report("residual norm backward", rows * width, best_microseconds([&] {
           k.residual_norm_backward({.rows = rows,
                                     .cols = width,
                                     .type = type,
                                     .dy = x.data(),
                                     .sum = y.data(),
                                     .mean = statistics.floats(),
                                     .rstd = statistics.floats(),
                                     .gamma = vector.floats(),

                                     .keep = keep.data(),
                                     .keep_scale = 1.1f,
                                     .dsum = hidden.data(),
                                     .dproduct = hidden_out.data(),
                                     .dgamma = sums.floats(),
                                     .dbeta = sums.floats() + width,
                                     .dbias = sums.floats() + 2 * width,
                                     .scratch = scratch.floats()});
         }));
  report("GELU forward 256x3072", rows * wide, best_microseconds([&] {
           k.gelu_forward({.rows = rows,
                           .cols = wide,
                           .product = hidden.data(),
                           .product_type = type,
                           .product_stride = wide,
                           .bias = vector.floats(),
                           .type = type,
                           .out = hidden_out.data(),
                           .out_stride = wide});
         }));
  report("GELU backward, value too", rows * wide, best_microseconds([&] {
           k.gelu_backward({.rows = rows,
                            .cols = wide,
                            .dout = hidden.data(),
                            .dout_type = type,
                            .dout_stride = wide,
                            .pre = hidden.data(),
                            .pre_type = type,
                            .pre_stride = wide,
                            .type = type,
                            .dpre = hidden_out.data(),
                            .dpre_stride = wide,
                            .out = hidden_out.data(),
                            .out_stride = wide,
                            .dbias = sums.floats()});
         }));
}

void run(SimdLevel level) {
  const Kernels& k = kernels(level);
  for (DType type : {DType::kFloat32, DType::kBFloat16}) {
    fmt::print("{}, {}\n", to_string(level), type == DType::kFloat32 ? "float32" : "bfloat16");
    for (std::uint32_t threshold : {0u, 6554u}) {
      time_attention(k, type, 55, 64, threshold);
      time_attention(k, type, 55, 128, threshold);
      time_attention(k, type, 110, 128, threshold);
    }
    time_attention(k, type, 1024, 64, 0);
    time_rows(k, type);
  }
}

}  // namespace
}  // namespace barcodemae::cpu

int main() {
  using namespace barcodemae;
  for (int level = static_cast<int>(machine().simd); level >= 0; --level) {
    cpu::run(static_cast<SimdLevel>(level));
  }
}
