// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/one_openmp_thread.h"
#include "base/threads.h"

namespace barcodemae {

/// body(first, count) for blocks of `total`, each on one thread, sgemm() too: fixed pieces,
/// whatever the number of threads.
template <typename Body>
void in_blocks(std::int64_t total, std::int64_t block, const Body& body) {
  parallel_for((total + block - 1) / block, [&](std::int64_t i, int) {
    const OneOpenMpThread one_thread;
    body(i * block, std::min(block, total - i * block));
  });
}

}  // namespace barcodemae
