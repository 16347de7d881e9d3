// SPDX-License-Identifier: MIT
// Dropout masks as bits, Philox4x32-10 on as many counters at a time as 64-bit lanes fit.
#pragma once

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/lanes.h"

namespace barcodemae::cpu {
namespace {

constexpr int kCounters = kLanes / 2;
using Longs [[gnu::vector_size(kCounters * 8)]] = std::uint64_t;

/// Product of the low 32 bits of each lane.
BARCODEMAE_INLINE Longs multiply_low(Longs a, Longs b) {
#if BARCODEMAE_LANES == 16
  return reinterpret_cast<Longs>(
      _mm512_mul_epu32(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif BARCODEMAE_LANES == 8
  return reinterpret_cast<Longs>(
      _mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(__x86_64__)
  return reinterpret_cast<Longs>(
      _mm_mul_epu32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#else
  return (a & 0xFFFFFFFF) * (b & 0xFFFFFFFF);
#endif
}

/// Bits of kCounters calls of 8 channels each, in order. Word i of a call's output is the low half
/// of the lanes of word[i].
BARCODEMAE_INLINE void store_keep_bits(std::uint8_t* keep, const Longs word[4],
                                       std::uint32_t threshold) {
  const Longs low = (word[0] & 0xFFFFFFFF) | (word[1] << 32);
  const Longs high = (word[2] & 0xFFFFFFFF) | (word[3] << 32);
#if BARCODEMAE_LANES == 16
  const __m512i limit = _mm512_set1_epi16(static_cast<short>(threshold));
  const auto a = reinterpret_cast<__m512i>(low), b = reinterpret_cast<__m512i>(high);
  const std::uint64_t first = _mm512_cmpge_epu16_mask(_mm512_unpacklo_epi64(a, b), limit);
  const std::uint64_t second = _mm512_cmpge_epu16_mask(_mm512_unpackhi_epi64(a, b), limit);
  const std::uint64_t bits = first | second << 32;
  __builtin_memcpy(keep, &bits, sizeof bits);
#elif BARCODEMAE_LANES == 8
  const __m256i limit = _mm256_set1_epi16(static_cast<short>(threshold));
  const auto a = reinterpret_cast<__m256i>(low), b = reinterpret_cast<__m256i>(high);
  const __m256i zero = _mm256_setzero_si256();
  const __m256i first =
      _mm256_cmpeq_epi16(_mm256_subs_epu16(limit, _mm256_unpacklo_epi64(a, b)), zero);
  const __m256i second =
      _mm256_cmpeq_epi16(_mm256_subs_epu16(limit, _mm256_unpackhi_epi64(a, b)), zero);
  const auto bits =
      static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_packs_epi16(first, second)));
  __builtin_memcpy(keep, &bits, sizeof bits);
#else
  for (int call = 0; call < kCounters; ++call) {
    unsigned byte = 0;
    for (unsigned lane = 0; lane < 8; ++lane) {
      const std::uint64_t half = lane < 4 ? low[call] : high[call];
      byte |= static_cast<unsigned>((half >> (16 * (lane % 4)) & 0xFFFF) >= threshold) << lane;
    }
    keep[call] = static_cast<std::uint8_t>(byte);
  }
#endif
}

/// The mask of channels 8 · first_call … of one row: `calls` bytes, and up to kCounters − 1 more
/// are written.
inline void keep_row(std::uint8_t* keep, const DropoutStream& dropout, std::uint32_t record,
                     std::uint32_t position, std::uint32_t first_call, std::int64_t calls) {
  const Longs zero{};
  const Longs multiplier0 = std::uint64_t{0xD2511F53} + zero;
  const Longs multiplier1 = std::uint64_t{0xCD9E8D57} + zero;
  Longs lane;
  for (int i = 0; i < kCounters; ++i) {
    // Where store_keep_bits takes even lanes first, so must the counters.
    lane[i] = static_cast<std::uint64_t>(kCounters == 8 ? i / 2 + (i % 2) * 4 : i);
  }
  for (std::int64_t call = 0; call < calls; call += kCounters) {
    const std::uint64_t base =
        (std::uint64_t{position} << 16) | (first_call + static_cast<std::uint64_t>(call));
    Longs counter0 = std::uint64_t{dropout.stream} + zero;
    Longs counter1 = std::uint64_t{dropout.step} + zero;
    Longs counter2 = std::uint64_t{record} + zero;
    Longs counter3 = base + lane;
    auto key0 = static_cast<std::uint32_t>(dropout.seed);
    auto key1 = static_cast<std::uint32_t>(dropout.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      // Only the low halves of the lanes mean anything.
      const Longs product0 = multiply_low(multiplier0, counter0);
      const Longs product1 = multiply_low(multiplier1, counter2);
      counter0 = (product1 >> 32) ^ counter1 ^ (std::uint64_t{key0} + zero);
      counter1 = product1;
      counter2 = (product0 >> 32) ^ counter3 ^ (std::uint64_t{key1} + zero);
      counter3 = product0;
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
    const Longs word[4] = {counter0, counter1, counter2, counter3};
    store_keep_bits(keep + call, word, dropout.threshold);
  }
}

void keep_bits(const KeepBits& a) {
  const std::int64_t stride = keep_stride(a.cols);
  for (std::int64_t r = 0; r < a.rows; ++r) {
    std::uint8_t* row = a.keep + r * stride;
    const auto record = static_cast<std::uint32_t>(a.records[r]);
    const auto position = static_cast<std::uint32_t>(a.positions[r]);
    const std::int64_t whole = stride / kCounters * kCounters;
    keep_row(row, a.dropout, record, position, 0, whole);
    if (whole < stride) {
      std::uint8_t rest[kCounters];  // keep_row writes whole vectors of calls
      keep_row(rest, a.dropout, record, position, static_cast<std::uint32_t>(whole),
               stride - whole);
      __builtin_memcpy(row + whole, rest, static_cast<std::size_t>(stride - whole));
    }
  }
}

void dropout_rows(const DropoutRows& a) {
  with_type(a.type, [&](auto type) {
    using T = decltype(type);
    const Floats scale = broadcast(a.keep_scale);
    for (std::int64_t r = 0; r < a.rows; ++r) {
      T* y = row_of<T>(a.y, r, a.cols);
      const T* x = row_of<T>(a.x, r, a.cols);
      const std::uint8_t* keep = a.keep + r * keep_stride(a.cols);
      for_lanes(a.cols, [&](std::int64_t c, auto lanes) {
        store(y + c, kept(keep, c, load(x + c, lanes) * scale), lanes);
      });
    }
  });
}

}  // namespace
}  // namespace barcodemae::cpu
