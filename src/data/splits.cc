// SPDX-License-Identifier: MIT
#include "data/splits.h"

#include <algorithm>

#include "base/error.h"
#include "sequence/record.h"
#include "sequence/text.h"

namespace barcodemae {

std::vector<std::string> parse_splits(std::string_view text, std::string_view option) {
  std::vector<std::string> names;
  while (true) {
    const std::size_t end = text.find_first_of("+,");
    const std::string name = canonical_split(text.substr(0, end));
    const bool twice = std::find(names.begin(), names.end(), name) != names.end();
    if (name.empty() || twice) {
      throw UserError("{}: '{}' is {}\nGive names of splits such as pretrain,train.", option, name,
                      twice ? "named twice" : "empty");
    }
    names.push_back(name);
    if (end == std::string_view::npos) return names;
    text.remove_prefix(end + 1);
  }
}

std::string listed_splits(std::vector<std::string> names) {
  std::erase(names, "");
  return names.empty() ? "none" : listed(names);
}

}  // namespace barcodemae
