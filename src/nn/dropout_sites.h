// SPDX-License-Identifier: MIT
// The number of each place that drops out. It names the random numbers of that place (Philox stream
// kDropout + number), so it must never change: a run could not be resumed with the same masks.
#pragma once

#include <cstdint>

namespace barcodemae::dropout_sites {

/// Per layer, in turn: attention probabilities, attention output, feed-forward output.
inline constexpr std::uint32_t kPerLayer = 3;
inline constexpr int kMostLayers = 80;

inline constexpr std::uint32_t kEncoderEmbedding = 0x000;
inline constexpr std::uint32_t kEncoderLayers = 0x001;  ///< layer i: + kPerLayer · i
inline constexpr std::uint32_t kDecoderEmbedding = 0x100;
inline constexpr std::uint32_t kDecoderLayers = 0x101;
inline constexpr std::uint32_t kHead = 0x200;
inline constexpr std::uint32_t kAuxiliary = 0x300;  ///< loss i: + i

static_assert(kEncoderLayers + kPerLayer * kMostLayers <= kDecoderEmbedding);
static_assert(kDecoderLayers + kPerLayer * kMostLayers <= kHead);

}  // namespace barcodemae::dropout_sites
