// SPDX-License-Identifier: MIT
#include "evaluation/table_sources.h"

#include <algorithm>

#include "base/error.h"
#include "formats/model_directory.h"

namespace barcodemae {
namespace fs = std::filesystem;
namespace {

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (;;) {
    const std::size_t comma = text.find(',', begin);
    parts.push_back(text.substr(begin, comma - begin));
    if (comma == std::string::npos) return parts;
    begin = comma + 1;
  }
}

TableSource parse(const std::string& text) {
  TableSource source;
  const std::size_t equals = text.find('=');
  std::string what = text;
  std::error_code no_file;  // of a word that is longer than a name may be, too
  if (equals != std::string::npos && !fs::exists(text, no_file)) {
    source.name = text.substr(0, equals);
    what = text.substr(equals + 1);
    if (source.name.empty() || what.empty()) {
      throw UserError("{}: NAME=MODEL or NAME=K.npy,K.tsv,Q.npy,Q.tsv is expected", text);
    }
  }
  if (what.find(".npy") == std::string::npos || fs::is_directory(what, no_file)) {
    source.model = find_model(what);
    if (source.name.empty()) source.name = model_name(source.model);
    return source;
  }
  const std::vector<std::string> files = split_at_commas(what);
  if (source.name.empty() || files.size() != 4) {
    throw UserError(
        "{}: embeddings made elsewhere are given as NAME=K.npy,K.tsv,Q.npy,Q.tsv:\nvectors and "
        "labels of the keys, and of what is asked about",
        text);
  }
  source.keys = EmbeddingFiles{files[0], files[1]};
  source.queries = EmbeddingFiles{files[2], files[3]};
  return source;
}

}  // namespace

std::vector<TableSource> parse_table_sources(const std::vector<std::string>& texts) {
  std::vector<TableSource> sources;
  for (const std::string& text : texts) {
    TableSource source = parse(text);
    const auto same = [&](const TableSource& other) { return other.name == source.name; };
    if (std::any_of(sources.begin(), sources.end(), same)) {
      throw UserError("two rows would be called {}\nGive one of them another name: NAME={}",
                      source.name, text.substr(text.find('=') + 1));
    }
    sources.push_back(std::move(source));
  }
  return sources;
}

}  // namespace barcodemae
