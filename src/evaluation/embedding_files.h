// SPDX-License-Identifier: MIT
// Embeddings made elsewhere: vectors in .npy, labels beside them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "evaluation/label_table.h"
#include "formats/npy.h"

namespace barcodemae {

struct EmbeddingFiles {
  std::filesystem::path vectors;  ///< .npy
  std::filesystem::path labels;   ///< TSV with a header, in step
};

struct LabelledVectors {
  Matrix vectors;
  std::vector<std::int32_t> labels;  ///< −1: missing

  /// Drops rows without a label. Returns how many.
  std::int64_t keep_labelled();
};

/// At least one vector of finite numbers. Throws UserError when the file holds something else.
Matrix read_vectors(const std::filesystem::path& file);

/// Throws UserError when a file cannot be read, there is no vector, a number is not finite, or the
/// files are not in step. `numbers` numbers the labels of several files alike.
LabelledVectors read_embeddings(const EmbeddingFiles& files, Rank rank, LabelNumbers& numbers);

/// Throws UserError when both have an X.model.json beside X.npy (barcodemae embed writes it), and
/// these differ in model, pooling or marker coordinates: such vectors have nothing in common.
void require_same_maker(const EmbeddingFiles& one, const EmbeddingFiles& other);

}  // namespace barcodemae
