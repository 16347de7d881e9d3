// SPDX-License-Identifier: MIT
#include "cli/config_file.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>

#include "base/error.h"

namespace barcodemae {
namespace {

/// Removes `--config FILE` or `--config=FILE`; empty when there is none.
std::string take_config_file(std::vector<std::string>& arguments) {
  const std::string option = "--config", with_value = option + "=";
  for (auto argument = arguments.begin(); argument != arguments.end(); ++argument) {
    if (argument->rfind(with_value, 0) == 0) {
      std::string file = argument->substr(with_value.size());
      arguments.erase(argument);
      return file;
    }
    if (*argument == option && argument + 1 != arguments.end()) {
      std::string file = *(argument + 1);
      arguments.erase(argument, argument + 2);
      return file;
    }
  }
  return {};
}

}  // namespace

std::vector<std::string> expand_config_file(std::vector<std::string> arguments) {
  const std::string file = take_config_file(arguments);
  if (file.empty()) return arguments;
  std::ifstream stream(file);
  if (!stream) throw UserError("--config {}: cannot be read\nCheck the path.", file);
  std::vector<CLI::ConfigItem> items;
  try {
    items = CLI::ConfigTOML().from_config(stream);
  } catch (const CLI::Error& error) {
    throw UserError("--config {}: {}\nLines `name = value` are expected.", file, error.what());
  }
  const auto given = static_cast<std::ptrdiff_t>(arguments.size());
  for (const CLI::ConfigItem& item : items) {
    if (!item.parents.empty()) {
      throw UserError("--config {}: section [{}]: only plain lines `name = value` are expected",
                      file, item.parents.front());
    }
    const std::string option = "--" + item.name;
    const bool overridden =
        std::any_of(arguments.begin(), arguments.begin() + given, [&](const std::string& argument) {
          return argument == option || argument.rfind(option + "=", 0) == 0;
        });
    if (overridden) continue;
    if (item.inputs.size() == 1) {
      arguments.push_back(option + "=" + item.inputs.front());
    } else {
      arguments.push_back(option);
      arguments.insert(arguments.end(), item.inputs.begin(), item.inputs.end());
    }
  }
  return arguments;
}

}  // namespace barcodemae
