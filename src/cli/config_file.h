// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace barcodemae {

struct ExpandedArguments {
  std::vector<std::string> arguments;
  std::string file;  ///< empty: none was named
};

/// Replaces `--config FILE` by the options that FILE holds, as if they had been given on the
/// command line after the others: lines `name = value` (INI or TOML, `#` comments). What the
/// command line itself says wins, by another name or by an option that excludes it (--quiet) too.
/// Throws UserError when the file cannot be read or has sections.
ExpandedArguments expand_config_file(const CLI::App& application,
                                     std::vector<std::string> arguments);

}  // namespace barcodemae
