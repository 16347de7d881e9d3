// SPDX-License-Identifier: MIT
#include "train/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/fingerprint.h"
#include "base/log.h"
#include "formats/json.h"
#include "formats/safetensors.h"

namespace barcodemae {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kPrefix = "step-";
constexpr std::size_t kKept = 2;

/// Step of a folder called step-N; −1 for any other name.
std::int64_t step_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  if (name.rfind(kPrefix, 0) != 0) return -1;
  std::int64_t step = -1;
  const char* end = name.data() + name.size();
  const auto result = std::from_chars(name.data() + kPrefix.size(), end, step);
  return result.ec == std::errc() && result.ptr == end ? step : -1;
}

/// Names, shapes and places of all parameters: a flat buffer means nothing without them.
std::string layout_fingerprint(const Parameters& parameters) {
  Fingerprint layout;
  for (const Parameters::Entry& entry : parameters.entries()) {
    for (const std::string& name : entry.names) layout.add(name + "\n");
    layout.add(fmt::format("{} {} {}\n", entry.rows, entry.cols, entry.offset));
  }
  return layout.hex();
}

struct Buffer {
  const char* name;
  View view;
};
std::vector<Buffer> buffers(const Parameters& parameters) {
  return {{"values", parameters.values()},
          {"first_moments", parameters.first_moments()},
          {"second_moments", parameters.second_moments()}};
}

TrainingState read_checkpoint(const fs::path& folder, Parameters& parameters, Backend& backend) {
  const std::string source = (folder / "state.json").string();
  const nlohmann::json json = read_json_object(folder / "state.json");
  const JsonReader reader(json, source);
  reader.integer("format_version", 1, kCheckpointFormatVersion);
  if (reader.text("layout") != layout_fingerprint(parameters)) {
    reader.fail("layout", "the parameters of this run's model");
  }
  TrainingState state = training_state_from_json(reader.value("state"), source);

  const SafetensorsFile file(folder / "state.safetensors");
  std::vector<std::vector<float>> contents;  // all read before the first upload
  for (const Buffer& buffer : buffers(parameters)) {
    contents.push_back(file.floats(buffer.name, 1, buffer.view.size()));
  }
  std::size_t next = 0;
  for (const Buffer& buffer : buffers(parameters)) {
    backend.upload(buffer.view, contents[next++].data());
  }
  return state;
}

}  // namespace

CheckpointStore::CheckpointStore(fs::path directory) : directory_(std::move(directory)) {
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error) throw UserError("cannot make {}: {}", directory_.string(), error.message());
  for (const auto& entry : fs::directory_iterator(directory_)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(kPrefix, 0) == 0 && step_of(entry.path()) < 0) fs::remove_all(entry.path());
  }
}

std::vector<fs::path> CheckpointStore::list() const {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(directory_)) {
    if (step_of(entry.path()) >= 0) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end(),
            [](const fs::path& a, const fs::path& b) { return step_of(a) > step_of(b); });
  return folders;
}

void CheckpointStore::save(const Parameters& parameters, Backend& backend,
                           const TrainingState& state) const {
  const fs::path folder = directory_ / fmt::format("{}{}", kPrefix, state.step);
  write_directory_atomically(folder, [&](const fs::path& temporary) {
    std::vector<std::vector<float>> contents;
    std::vector<TensorToWrite> tensors;
    for (const Buffer& buffer : buffers(parameters)) {
      contents.emplace_back(static_cast<std::size_t>(buffer.view.size()));
      backend.download(contents.back().data(), buffer.view);
      tensors.push_back(
          {buffer.name, StoredType::kF32, {1, buffer.view.size()}, contents.back(), {}});
    }
    write_safetensors(temporary / "state.safetensors", tensors);
    nlohmann::ordered_json json;
    json["format_version"] = kCheckpointFormatVersion;
    json["layout"] = layout_fingerprint(parameters);
    json["state"] = to_json(state);
    write_file_atomically(temporary / "state.json", json.dump(2) + "\n");
  });
  const std::vector<fs::path> folders = list();
  for (std::size_t i = kKept; i < folders.size(); ++i) fs::remove_all(folders[i]);
}

std::optional<TrainingState> CheckpointStore::load(Parameters& parameters, Backend& backend) const {
  const std::vector<fs::path> folders = list();
  for (const fs::path& folder : folders) {
    try {
      return read_checkpoint(folder, parameters, backend);
    } catch (const UserError& error) {
      log_warn("a checkpoint is unusable, trying the one before: {}", error.what());
    }
  }
  if (folders.empty()) return std::nullopt;
  throw UserError("no checkpoint in {} can be used\nStart afresh with another --out.",
                  directory_.string());
}

}  // namespace barcodemae
