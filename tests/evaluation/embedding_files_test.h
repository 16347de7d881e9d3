// SPDX-License-Identifier: MIT
// Embeddings made elsewhere, as tests of evaluations write them.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "communication/single_process.h"
#include "evaluation/embedding_files.h"
#include "temporary_folder.h"

namespace barcodemae {

class EmbeddingFilesTest : public testing::Test {
 protected:
  /// `labels` is the whole .tsv.
  EmbeddingFiles files(const std::string& name, const Matrix& vectors, const std::string& labels) {
    const EmbeddingFiles made{folder_ / (name + ".npy"), folder_ / (name + ".tsv")};
    write_npy(made.vectors, vectors);
    std::ofstream(made.labels) << labels;
    return made;
  }

  SingleProcess alone_;
  TemporaryFolder folder_;
};

}  // namespace barcodemae
