// SPDX-License-Identifier: MIT
#include "cli/config_file.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

#include "base/error.h"

namespace barcodemae {
namespace {

/// Removes `--config FILE` or `--config=FILE`; nothing when there is none.
std::optional<std::string> take_config_file(std::vector<std::string>& arguments) {
  const std::string option = "--config", with_value = option + "=";
  std::optional<std::string> file;
  for (auto argument = arguments.begin(); argument != arguments.end();) {
    const bool joined = argument->starts_with(with_value);
    const bool apart = *argument == option && argument + 1 != arguments.end();
    if (!joined && !apart) {
      ++argument;
      continue;
    }
    if (file) throw UserError("--config: given twice\nPut all options into one file.");
    file = joined ? argument->substr(with_value.size()) : *(argument + 1);
    argument = arguments.erase(argument, argument + (joined ? 1 : 2));
  }
  return file;
}

/// The command that the arguments name, such as evaluate knn.
const CLI::App* command_of(const CLI::App& application, const std::vector<std::string>& arguments) {
  const CLI::App* command = &application;
  for (const std::string& word : arguments) {
    const auto next = command->get_subcommands(
        [&](const CLI::App* candidate) { return candidate->get_name() == word; });
    if (next.empty()) break;
    command = next.front();
  }
  return command;
}

/// All names that `--name` has in this command, and those of the options that it excludes.
std::vector<std::string> rivals(const CLI::App& command, const std::string& name) {
  std::vector<std::string> names = {name};
  const CLI::Option* const option = command.get_option_no_throw("--" + name);
  if (option == nullptr) return names;
  names = option->get_lnames();
  for (const CLI::Option* other : option->get_excludes()) {
    names.insert(names.end(), other->get_lnames().begin(), other->get_lnames().end());
  }
  return names;
}

}  // namespace

ExpandedArguments expand_config_file(const CLI::App& application,
                                     std::vector<std::string> arguments) {
  const std::optional<std::string> given_file = take_config_file(arguments);
  if (!given_file) return {std::move(arguments), ""};
  const std::string& file = *given_file;
  std::ifstream stream(file);
  if (!stream || std::filesystem::is_directory(file)) {
    throw UserError("--config {}: cannot be read\nA file of lines `name = value` is expected.",
                    file);
  }
  std::vector<CLI::ConfigItem> items;
  try {
    items = CLI::ConfigTOML().from_config(stream);
  } catch (const CLI::Error& error) {
    throw UserError("--config {}: {}\nLines `name = value` are expected.", file, error.what());
  }
  const auto given = static_cast<std::ptrdiff_t>(arguments.size());
  const CLI::App& command = *command_of(application, arguments);
  for (const CLI::ConfigItem& item : items) {
    if (!item.parents.empty()) {
      throw UserError("--config {}: section [{}]: only plain lines `name = value` are expected",
                      file, item.parents.front());
    }
    if (item.name.find(' ') != std::string::npos) {
      throw UserError("--config {}: '{}': lines `name = value` are expected", file, item.name);
    }
    const std::vector<std::string> names = rivals(command, item.name);
    const bool overridden =
        std::any_of(arguments.begin(), arguments.begin() + given, [&](const std::string& argument) {
          return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
            return argument == "--" + name || argument.starts_with("--" + name + "=");
          });
        });
    if (overridden) continue;
    const std::string option = "--" + item.name;
    if (item.inputs.size() == 1) {
      arguments.push_back(option + "=" + item.inputs.front());
    } else {
      arguments.push_back(option);
      arguments.insert(arguments.end(), item.inputs.begin(), item.inputs.end());
    }
  }
  return {std::move(arguments), file};
}

}  // namespace barcodemae
