// SPDX-License-Identifier: MIT
#include "evaluation/questions.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "evaluation/label_table.h"

namespace barcodemae {
namespace {

using Ids = std::vector<std::string>;

void warn_of_shared(const std::filesystem::path& keys, const Ids& key_ids,
                    const std::filesystem::path& queries, const Ids& query_ids) {
  const std::unordered_set<std::string> known(key_ids.begin(), key_ids.end());
  const auto shared = [&](const std::string& id) { return !id.empty() && known.count(id) != 0; };
  const auto count = std::count_if(query_ids.begin(), query_ids.end(), shared);
  if (count == 0) return;
  const std::string& example = *std::find_if(query_ids.begin(), query_ids.end(), shared);
  if (count == std::ssize(query_ids)) {
    throw UserError(
        "every id of {} is in {} too ({} …): each would be asked about itself\nGive embeddings of "
        "different records.",
        queries.string(), keys.string(), example);
  }
  log_warn("{} of {} ids of {} are in {} too ({} …)", count, query_ids.size(), queries.string(),
           keys.string(), example);
}

}  // namespace

std::vector<bool> known_labels(std::span<const std::int32_t> labels, std::int32_t classes) {
  std::vector<bool> known(static_cast<std::size_t>(classes), false);
  for (const std::int32_t label : labels) {
    if (label >= 0) known[static_cast<std::size_t>(label)] = true;
  }
  return known;
}

void require_question(const NamedLabels& keys, const NamedLabels& queries, Rank rank,
                      const std::vector<std::string>& names) {
  const auto classes = static_cast<std::int32_t>(names.size());
  const std::vector<bool> known = known_labels(keys.labels, classes);
  const std::vector<bool> asked = known_labels(queries.labels, classes);
  const auto none = [](const std::vector<bool>& flags) {
    return std::find(flags.begin(), flags.end(), true) == flags.end();
  };
  for (const auto& [side, flags] : {std::pair(&keys, &known), std::pair(&queries, &asked)}) {
    if (none(*flags)) throw UserError("{}: none has a {} label", side->name, to_string(rank));
  }
  const auto first = std::find(known.begin(), known.end(), true);
  if (std::count(known.begin(), known.end(), true) == 1) {
    throw UserError(
        "{}: all have the same {}, {}\nEvery answer would be the same: two labels at least are "
        "needed. Choose another --rank or other records.",
        keys.name, to_string(rank), names[static_cast<std::size_t>(first - known.begin())]);
  }
  for (std::size_t label = 0; label < names.size(); ++label) {
    if (known[label] && asked[label]) return;
  }
  throw UserError(
      "{}: not one has a {} that occurs among {}\nEvery answer would be wrong. Choose a rank that "
      "both sides share with --rank, or other records.",
      queries.name, to_string(rank), keys.name);
}

void require_apart(const std::vector<std::string>& one, const std::vector<std::string>& other,
                   const std::string& options, std::string_view reason) {
  for (const std::string& split : other) {
    if (std::find(one.begin(), one.end(), split) == one.end()) continue;
    throw UserError("{}: {} is in both, and {}\nName different splits.", options, split, reason);
  }
}

std::string left_out_line(std::int64_t count, std::string_view what) {
  if (count == 0) return "";
  return fmt::format("{} {} without a label at this rank, or without a token, are left out\n",
                     format_count(count), what);
}

void warn_of_shared_ids(const std::vector<std::filesystem::path>& tables) {
  std::vector<Ids> ids;
  for (const std::filesystem::path& table : tables) {
    ids.push_back(read_ids(table));
    for (std::size_t earlier = 0; earlier + 1 < ids.size(); ++earlier) {
      warn_of_shared(tables[earlier], ids[earlier], table, ids.back());
    }
  }
}

}  // namespace barcodemae
