// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

namespace barcodemae {

struct ExpandedArguments {
  std::vector<std::string> arguments;
  std::string file;  ///< empty: none was named
};

/// Replaces `--config FILE` by the options that FILE holds, as if they had been given on the
/// command line after the others: lines `name = value` (INI or TOML, `#` comments). What the
/// command line itself says wins. Throws UserError when the file cannot be read or has sections.
ExpandedArguments expand_config_file(std::vector<std::string> arguments);

}  // namespace barcodemae
