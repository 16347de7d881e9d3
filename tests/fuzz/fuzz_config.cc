// SPDX-License-Identifier: MIT
// config.json, tokenizer.json, perhaps marker.json and perhaps readout.safetensors, separated by
// zero bytes: any bytes are a model that comes back from being written, or a UserError.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "formats/config_json.h"
#include "formats/model_directory.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace barcodemae;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> parts;
  while (parts.size() < 3 && rest.find('\0') != std::string_view::npos) {
    parts.emplace_back(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(parts.back().size() + 1);
  }
  parts.emplace_back(rest);
  parts.resize(4);
  DescriptionFiles files{parts[0], parts[1], std::nullopt};
  if (!parts[2].empty()) files.marker = parts[2];
  if (!parts[3].empty()) files.readout = parts[3];
  std::string written;
  try {
    written = write_config_json(parse_model_description(files, "fuzz"));
  } catch (const UserError&) {
    return 0;
  }
  files.config = written;
  parse_model_description(files, "fuzz");  // an exception here is a finding
  return 0;
}
