// SPDX-License-Identifier: MIT
// Embedding a file of any size, by one process or several: memory stays flat.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "communication/communicator.h"
#include "inference/embedder.h"
#include "sequence/reader.h"

namespace barcodemae {

struct EmbedStreamOptions {
  std::vector<std::string> splits;  ///< only records of these, each of which has some; none: all
  std::int64_t chunk = 16384;       ///< records in memory at a time; no influence on results
  /// … or so many for each process of the job, if that is more.
  std::int64_t chunk_per_process = 256;
};

struct EmbedStreamResult {
  std::int64_t embedded = 0;
  std::int64_t unexplained = 0;         ///< of these, not explained by the model's marker profile
  std::vector<ReadReport::Skip> skips;  ///< by line: unreadable records, and those without a token
};

/// Reads records, embeds them and hands them out in input order, with where they lie in the marker
/// (meaningful for anchored models). Shows progress. Throws UserError as the reader does, and when
/// no record of one of the splits is there (naming the splits that are) or none could be embedded.
/// Collective: every process reads the whole file and embeds its share of each chunk; `use` is
/// called, and the result meaningful, at rank 0 alone.
EmbedStreamResult embed_stream(
    Embedder& embedder, RecordReader& reader, const EmbedStreamOptions& options,
    const std::function<void(const Record&, const Placement&, std::span<const float> vector)>& use,
    Communicator& communicator);

}  // namespace barcodemae
