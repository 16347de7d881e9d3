// SPDX-License-Identifier: MIT
// Embeddings to files (docs/formats.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/npy.h"
#include "marker/marker_profile.h"
#include "sequence/reader.h"
#include "sequence/record.h"

namespace barcodemae {

/// Writes X.npy ([records, width], float32 or float16) with X.tsv beside it (a header, then one
/// line a vector: id, a column for each rank, and split and anchored where there are such), or
/// X.tsv alone with a further column per dimension (e0, e1, …), or the same to standard output
/// ("-"). X.model.json says what made an X.npy. X.skipped.tsv (line, id, reason) lists what could
/// not be embedded, if anything. All files appear whole, together at commit(), or not at all.
class EmbeddingWriter {
 public:
  struct Columns {
    int width = 0;          ///< of the vectors
    bool split = false;     ///< whether the input has splits
    bool anchored = false;  ///< whether the model reads marker coordinates: yes or no per record
    NpyType type = NpyType::kFloat32;  ///< of the numbers in an .npy; text always holds float32
    std::string maker = {};            ///< X.model.json's text, beside X.npy; empty: no such file
  };
  /// Throws UserError when the name ends in neither .npy nor .tsv, or in no .npy with float16, and
  /// as AtomicFile does.
  EmbeddingWriter(const std::filesystem::path& path, const Columns& columns);
  ~EmbeddingWriter();
  EmbeddingWriter(const EmbeddingWriter&) = delete;
  EmbeddingWriter& operator=(const EmbeddingWriter&) = delete;

  void append(const Record& record, const Placement& placement, std::span<const float> vector);
  void commit(const std::vector<ReadReport::Skip>& skips);
  /// Where skipped records are listed; empty with standard output, where commit() warns instead.
  const std::filesystem::path& skipped_path() const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace barcodemae
