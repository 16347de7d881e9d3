// SPDX-License-Identifier: MIT
// What a user names as a row of the table.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "evaluation/embedding_files.h"

namespace barcodemae {

/// A model, or embeddings made elsewhere.
struct TableSource {
  std::string name;
  std::filesystem::path model;                  ///< empty: embeddings
  std::optional<EmbeddingFiles> keys, queries;  ///< of embeddings
};

/// MODEL (a directory or the name of a shipped model), NAME=MODEL, or
/// NAME=K.npy,K.tsv,Q.npy,Q.tsv, each. Throws UserError for a model that does not exist, a name
/// used twice, or files that are not four.
std::vector<TableSource> parse_table_sources(const std::vector<std::string>& texts);

}  // namespace barcodemae
