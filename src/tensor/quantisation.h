// SPDX-License-Identifier: MIT
// Weights in int8: each row of a matrix [out, in], an output channel, by a scale of its own.
#pragma once

#include <cstdint>
#include <span>

namespace barcodemae {

/// The scale s of a row: at least its largest magnitude / 127, with 16 significant bits, so that
/// quantising the products s · q again gives the same s and q. 0 for zeros. Numbers must be finite.
float int8_scale(std::span<const float> row);

/// quantised[i] = row[i] / scale, rounded to nearest even; 0 when the scale is.
void quantise_int8(std::span<std::int8_t> quantised, std::span<const float> row, float scale);

}  // namespace barcodemae
