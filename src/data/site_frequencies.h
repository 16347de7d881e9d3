// SPDX-License-Identifier: MIT
// What the place in the marker alone says about a k-mer: the initial bias of a per-base head, and
// the loss that a network must beat to have learned anything about the barcode at hand.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/batch.h"
#include "data/dataset.h"
#include "data/packing.h"

namespace barcodemae {

/// Natural logs of the base frequencies at each token position, [max_positions × 4k] row by row:
/// column 4·j + b is base b (A, C, G, T) at place j of the k-mer. Counted over `records` of the
/// data set as `pack` tokenises them; [UNK] counts nothing. Counts are smoothed by four
/// pseudo-counts distributed as the bases are at that place overall, so that positions never seen
/// have the overall frequencies.
///
/// Byte pairs have no site: natural logs of the frequencies of the tokens from coder.first_token()
/// on, each counted once more than it occurs.
std::vector<float> site_log_frequencies(const Dataset& data, const SequenceCoder& coder,
                                        std::span<const std::int64_t> records, int max_positions,
                                        const FrameOffsets& offsets = {});

/// Sum of −log p over the tokens in `rows` of a batch (special ones skipped), each k-mer predicted
/// base by base from the frequencies of its site, byte pairs from those of the tokens; nats. Sites
/// have no frequency of N: k-mers with N count as the others do on average. Divide by the number of
/// rows.
double site_frequency_loss(std::span<const float> site_log_frequencies, const SequenceCoder& coder,
                           const PackedBatch& batch, std::span<const std::int32_t> rows);

/// Mean of the same over all k-mers of some records, in nats per k-mer; 0 when they have none.
double site_frequency_loss(std::span<const float> site_log_frequencies, const Dataset& data,
                           const SequenceCoder& coder, std::span<const std::int64_t> records,
                           const FrameOffsets& offsets = {});

}  // namespace barcodemae
