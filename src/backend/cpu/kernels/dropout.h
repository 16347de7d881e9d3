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

/// a's low half below b's in each lane.
BARCODEMAE_INLINE Longs low_halves(Longs a, Longs b) {
#if BARCODEMAE_LANES == 16
  return reinterpret_cast<Longs>(_mm512_mask_shuffle_epi32(
      reinterpret_cast<__m512i>(a), 0xAAAA, reinterpret_cast<__m512i>(b), _MM_PERM_CDAB));
#else
  return (a & 0xFFFFFFFF) | (b << 32);
#endif
}

/// Bits of kCounters calls of 8 channels each, in order. Word i of a call's output is the low half
/// of the lanes of word[i].
BARCODEMAE_INLINE void store_keep_bits(std::uint8_t* keep, const Longs word[4],
                                       std::uint32_t threshold) {
  const Longs low = low_halves(word[0], word[1]), high = low_halves(word[2], word[3]);
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

BARCODEMAE_INLINE Longs exclusive_or(Longs a, Longs b, std::uint64_t c) {
#if BARCODEMAE_LANES == 16
  return reinterpret_cast<Longs>(
      _mm512_ternarylogic_epi64(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b),
                                _mm512_set1_epi64(static_cast<long long>(c)), 0x96));
#else
  return a ^ b ^ (c + Longs{});
#endif
}

/// The four words of the generator for counters that differ in the last word only. Then the first
/// round and halves of the second and third are the same for all of them and done beforehand.
class Philox {
 public:
  Philox(const DropoutStream& dropout, std::uint32_t record) {
    auto key0 = static_cast<std::uint32_t>(dropout.seed);
    auto key1 = static_cast<std::uint32_t>(dropout.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      key0_[round] = key0;
      key1_[round] = key1;
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
    const std::uint64_t first0 = kMultiplier0 * dropout.stream, first1 = kMultiplier1 * record;
    const std::uint64_t second0 = kMultiplier0 * ((first1 >> 32) ^ dropout.step ^ key0_[0]);
    const std::uint64_t third1 = kMultiplier1 * ((second0 >> 32) ^ low(first0) ^ key1_[1]);
    after0_ = (first0 >> 32) ^ key1_[0];
    after1_ = low(first1) ^ key0_[1];
    after2_even_ = (third1 >> 32) ^ key0_[2];
    after2_odd_ = low(second0) ^ key1_[2];
    after2_low_ = low(third1);
  }

  /// Word i of the call for each counter is the low half of the lanes of words[i].
  BARCODEMAE_INLINE void operator()(Longs (&words)[4], Longs last_counter) const {
    const Longs zero{}, multiplier0 = kMultiplier0 + zero, multiplier1 = kMultiplier1 + zero;
    const Longs second1 = multiply_low(multiplier1, last_counter ^ (after0_ + zero));
    const Longs third0 = multiply_low(multiplier0, (second1 >> 32) ^ (after1_ + zero));
    words[0] = second1 ^ (after2_even_ + zero);
    words[1] = after2_low_ + zero;
    words[2] = (third0 >> 32) ^ (after2_odd_ + zero);
    words[3] = third0;
    for (int round = 3; round < 10; ++round) {
      // Only the low halves of the lanes mean anything.
      const Longs product0 = multiply_low(multiplier0, words[0]);
      const Longs product1 = multiply_low(multiplier1, words[2]);
      words[0] = exclusive_or(product1 >> 32, words[1], key0_[round]);
      words[1] = product1;
      words[2] = exclusive_or(product0 >> 32, words[3], key1_[round]);
      words[3] = product0;
    }
  }

 private:
  static constexpr std::uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  static constexpr std::uint64_t low(std::uint64_t x) { return x & 0xFFFFFFFF; }

  std::uint64_t key0_[10], key1_[10];
  std::uint64_t after0_, after1_, after2_even_, after2_odd_, after2_low_;
};

/// The mask of channels 8 · first_call … of one row: `calls` bytes, and up to kCounters − 1 more
/// are written.
inline void keep_row(std::uint8_t* keep, const Philox& philox, std::uint32_t threshold,
                     std::uint32_t position, std::uint32_t first_call, std::int64_t calls) {
  Longs lane;
  for (int i = 0; i < kCounters; ++i) {
    // Where store_keep_bits takes even lanes first, so must the counters.
    lane[i] = static_cast<std::uint64_t>(kCounters == 8 ? i / 2 + (i % 2) * 4 : i);
  }
  const std::uint64_t base = (std::uint64_t{position} << 16) | first_call;
  for (std::int64_t call = 0; call < calls; call += kCounters) {
    Longs words[4];
    philox(words, base + static_cast<std::uint64_t>(call) + lane);
    store_keep_bits(keep + call, words, threshold);
  }
}

void keep_bits(const KeepBits& a) {
  const std::int64_t stride = keep_stride(a.cols);
  for (std::int64_t r = 0; r < a.rows; ++r) {
    std::uint8_t* row = a.keep + r * stride;
    const Philox philox(a.dropout, static_cast<std::uint32_t>(a.records[r]));
    const auto position = static_cast<std::uint32_t>(a.positions[r]);
    const std::int64_t whole = stride / kCounters * kCounters;
    keep_row(row, philox, a.dropout.threshold, position, 0, whole);
    if (whole < stride) {
      std::uint8_t rest[kCounters];  // keep_row writes whole vectors of calls
      keep_row(rest, philox, a.dropout.threshold, position, static_cast<std::uint32_t>(whole),
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
