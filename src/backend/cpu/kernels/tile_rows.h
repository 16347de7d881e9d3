// SPDX-License-Identifier: MIT
// How large a tile of sums the vector registers hold.
#pragma once

#include "backend/cpu/kernels/lanes.h"

namespace barcodemae::cpu {
namespace {

constexpr int kTileRows = 6;
constexpr int kTileVectors = kLanes == 16 ? 4 : 2;  ///< along each row

}  // namespace
}  // namespace barcodemae::cpu
