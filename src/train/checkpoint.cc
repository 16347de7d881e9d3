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
#include "base/temporary_files.h"
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

/// nullopt: it belongs to another run.
std::optional<TrainingState> read_checkpoint(const fs::path& folder, const std::string& run,
                                             Parameters& parameters, Backend& backend) {
  const std::string source = (folder / "state.json").string();
  const nlohmann::json json = read_json_object(folder / "state.json");
  const JsonReader reader(json, source);
  reader.integer("format_version", 1, kCheckpointFormatVersion);
  // Early checkpoints do not name their run: they are believed to belong to the run.json above.
  if (reader.has("run") && reader.text("run") != run) return std::nullopt;
  if (reader.text("layout") != layout_fingerprint(parameters)) {
    reader.fail("layout", "the parameters of this run's model");
  }
  TrainingState state = training_state_from_json(reader.value("state"), source);

  const SafetensorsFile file(folder / "state.safetensors");
  for (const Buffer& buffer :
       buffers(parameters)) {  // one at a time: each is as large as the model
    backend.upload(buffer.view, file.floats(buffer.name, 1, buffer.view.size()).data());
  }
  return state;
}

}  // namespace

CheckpointStore::CheckpointStore(fs::path directory, std::string run)
    : directory_(std::move(directory)), run_(std::move(run)) {
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error) {
    throw UserError("cannot make {}: {}\nGive an --out that can be written.", directory_.string(),
                    error.message());
  }
  remove_leftovers(directory_);
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
    std::vector<TensorToWrite> tensors;
    for (const Buffer& buffer : buffers(parameters)) {
      const auto download = [&backend, view = buffer.view] {
        std::vector<float> content(static_cast<std::size_t>(view.size()));
        backend.download(content.data(), view);
        return content;
      };
      tensors.push_back({buffer.name, StoredType::kF32, {1, buffer.view.size()}, {}, {}, download});
    }
    write_safetensors(temporary / "state.safetensors", tensors);
    nlohmann::ordered_json json;
    json["format_version"] = kCheckpointFormatVersion;
    json["run"] = run_;
    json["layout"] = layout_fingerprint(parameters);
    json["state"] = to_json(state);
    write_file_atomically(temporary / "state.json", json.dump(2) + "\n");
  });
  const std::vector<fs::path> folders = list();
  for (std::size_t i = kKept; i < folders.size(); ++i) fs::remove_all(folders[i]);
}

std::optional<TrainingState> CheckpointStore::load(Parameters& parameters, Backend& backend) const {
  std::vector<fs::path> damaged;
  for (const fs::path& folder : list()) {
    try {
      if (auto state = read_checkpoint(folder, run_, parameters, backend)) {
        // They would keep the places of good ones.
        for (const fs::path& unusable : damaged) fs::remove_all(unusable);
        return state;
      }
      log_warn("{}: of another run, removed", folder.string());
      fs::remove_all(folder);
    } catch (const UserError& error) {
      log_warn("a checkpoint is unusable, trying the one before: {}", error.what());
      damaged.push_back(folder);
    }
  }
  if (damaged.empty()) return std::nullopt;
  throw UserError("no checkpoint in {} can be used\nStart afresh with another --out.",
                  directory_.string());
}

void CheckpointStore::clear() const {
  const std::vector<fs::path> folders = list();
  if (folders.empty()) return;
  log_warn("{}: checkpoints without a run.json, removed", directory_.string());
  for (const fs::path& folder : folders) fs::remove_all(folder);
}

}  // namespace barcodemae
