// SPDX-License-Identifier: MIT
#include "train/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/fingerprint.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/temporary_files.h"
#include "communication/collectives.h"
#include "formats/bpe_json.h"
#include "formats/json.h"
#include "train/run_length.h"

namespace barcodemae {
namespace fs = std::filesystem;

namespace {

/// A value as the command line would give it.
std::string as_option(const std::string& name, const nlohmann::json& value) {
  if (value.is_null()) return "no --" + name;
  if (!value.is_string()) return fmt::format("--{} {}", name, value.dump());
  const auto text = value.get<std::string>();
  return text.empty() ? "no --" + name : fmt::format("--{} {}", name, text);
}

nlohmann::json value_in(const nlohmann::ordered_json& options, const ComparedOption& option) {
  return options.contains(option.name) ? nlohmann::json(options.at(option.name)) : option.absent;
}

}  // namespace

RunDirectory::RunDirectory(fs::path path) : path_(std::move(path)) {
  std::error_code error;
  made_ = fs::create_directories(path_, error);
  if (error || !fs::is_directory(path_)) {
    throw UserError("--out {}: cannot make this folder: {}\nGive a folder that can be written.",
                    path_.string(), error ? error.message() : "a file is in the way");
  }
  if (!fs::exists(run_file()) && fs::exists(path_ / "config.json")) {
    throw UserError(
        "--out {}: holds a model that no pretraining made here (there is no run.json)\n"
        "Give another folder.",
        path_.string());
  }
  // Not run.json itself: that file is replaced, and a lock belongs to the file that was opened.
  const fs::path lock_file = path_ / ".lock";
  lock_ = ::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0) {
    throw UserError("--out {}: cannot write there: {}\nGive a folder that can be written.",
                    path_.string(), std::strerror(errno));
  }
  if (::flock(lock_, LOCK_EX | LOCK_NB) == 0) {
    remove_leftovers(path_);
  } else if (errno == EWOULDBLOCK) {
    ::close(lock_);
    throw UserError(
        "--out {}: another barcodemae is writing there\nWait for it, or give another folder.",
        path_.string());
  } else {
    log_warn("--out {}: cannot be locked ({}); see that no other barcodemae writes there",
             path_.string(), std::strerror(errno));
  }
}

RunDirectory::~RunDirectory() {
  ::close(lock_);
  if (!made_) return;
  // A run that was refused before it wrote anything leaves nothing behind.
  std::error_code ignored;
  const auto entries = std::distance(fs::directory_iterator(path_, ignored), {});
  if (entries == 1) fs::remove(path_ / ".lock", ignored);
  if (entries <= 1) fs::remove(path_, ignored);
}

std::optional<RunRecord> read_run(const fs::path& directory) {
  const fs::path file = directory / RunDirectory::kRunFile;
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return std::nullopt;
  return run_from_json(read_json_object(file), file.string());
}

RunRecord run_from_json(const nlohmann::json& json, const std::string& source) {
  const JsonReader reader(json, source);
  if (const auto version = reader.integer("format_version", 1, 1 << 30);
      version > kRunFormatVersion) {
    throw UserError("{}: format version {} is newer than this barcodemae reads ({})\nUpdate it.",
                    source, version, kRunFormatVersion);
  }
  RunRecord record;
  record.version = reader.text("version");
  record.options = reader.object("options").json();
  if (reader.has("simd")) record.simd = reader.text("simd");
  const JsonReader data = reader.object("data");
  record.data_file = data.text("file");
  record.data_fingerprint = data.text("fingerprint");
  record.profile_fingerprint = data.text("marker_profile");
  record.total_steps = reader.integer("total_steps", 1, kMostSteps);
  record.validate_every = reader.integer("validate_every", 1, kMostSteps);
  record.log_every = reader.integer("log_every", 1, kMostSteps);
  record.finished = reader.boolean("finished");
  if (reader.has("result")) record.result = reader.object("result").json();
  return record;
}

nlohmann::ordered_json to_json(const RunRecord& record) {
  nlohmann::ordered_json json;
  json["format_version"] = kRunFormatVersion;
  json["version"] = record.version;
  json["data"] = {{"file", record.data_file},
                  {"fingerprint", record.data_fingerprint},
                  {"marker_profile", record.profile_fingerprint}};
  json["options"] = record.options;
  if (!record.simd.empty()) json["simd"] = record.simd;
  json["total_steps"] = record.total_steps;
  json["validate_every"] = record.validate_every;
  json["log_every"] = record.log_every;
  json["finished"] = record.finished;
  if (!record.result.is_null()) json["result"] = record.result;
  return json;
}

void RunDirectory::write(const RunRecord& record) const {
  write_file_atomically(run_file(), to_json(record).dump(2) + "\n");
}

std::optional<RunRecord> read_begun(const RunDirectory* directory, Communicator& communicator) {
  std::optional<RunRecord> begun;
  if (directory != nullptr) begun = directory->read();
  const std::string text = text_from_root(communicator, begun ? to_json(*begun).dump() : "");
  if (text.empty()) return std::nullopt;
  return run_from_json(nlohmann::json::parse(text), RunDirectory::kRunFile);
}

void require_same_job(const RunRecord& run, Communicator& communicator) {
  require_same(communicator, "their version", run.version, "Start the same program everywhere.");
  require_same(communicator, "their options", run.options.dump(),
               "Start the same command everywhere.");
  require_same(communicator, "the data they read (by fingerprint)",
               run.data_fingerprint + " " + run.profile_fingerprint,
               "All of them must see the same file.");
  require_same(communicator, "SIMD level", to_string(machine().simd),
               "Set BARCODEMAE_SIMD to the lower one for all of them.");
}

std::string coder_fingerprint(const SequenceCoder& coder) {
  if (!coder.profile && !coder.bpe) return "none";
  Fingerprint fingerprint;
  if (coder.profile) fingerprint.add(coder.profile->to_json());
  if (coder.bpe) fingerprint.add(write_bpe_json(coder.bpe->vocabulary()));
  return fingerprint.hex();
}

const std::vector<ComparedOption>& compared_pretrain_options() {
  static const std::vector<ComparedOption> options = [] {
    std::vector<ComparedOption> compared;
    for (const PretrainField& field : pretrain_fields()) {
      if (field.may_change) continue;
      compared.push_back({field.name,
                          field.added_later ? field.value(PretrainOptions{}) : nlohmann::json(),
                          field.added_later});
    }
    return compared;
  }();
  return options;
}

std::string run_fingerprint(const RunRecord& run, const std::vector<ComparedOption>& options) {
  Fingerprint fingerprint;
  for (const ComparedOption& option : options) {
    const nlohmann::json value = value_in(run.options, option);
    // As it was before the option existed.
    if (option.added_later && value == option.absent) continue;
    fingerprint.add(fmt::format("{} {}\n", option.name, value.dump()));
  }
  fingerprint.add(fmt::format("{} {} {} {}\n", run.version, run.data_fingerprint,
                              run.profile_fingerprint, run.total_steps));
  return fingerprint.hex();
}

void check_same_run(const RunRecord& begun, const RunRecord& now, const fs::path& directory,
                    const std::vector<ComparedOption>& options) {
  std::vector<std::string> differences;
  for (const ComparedOption& option : options) {
    const nlohmann::json before = value_in(begun.options, option);
    const nlohmann::json after = value_in(now.options, option);
    if (before != after) {
      differences.push_back(fmt::format("{} there, {} now", as_option(option.name, before),
                                        as_option(option.name, after)));
    }
  }
  if (begun.version != now.version) {
    differences.push_back(fmt::format("barcodemae {} there, {} now", begun.version, now.version));
  }
  if (begun.data_fingerprint != now.data_fingerprint) {
    differences.push_back(fmt::format("DATA with fingerprint {} there ({}), {} now",
                                      begun.data_fingerprint, begun.data_file,
                                      now.data_fingerprint));
  }
  if (begun.profile_fingerprint != now.profile_fingerprint) {
    differences.push_back(fmt::format("marker profile of --anchor {} there, {} now",
                                      begun.profile_fingerprint, now.profile_fingerprint));
  }
  if (differences.empty()) return;
  constexpr std::size_t kShown = 3;
  std::string message = fmt::format("{} holds another run:", directory.string());
  for (std::size_t i = 0; i < differences.size() && i < kShown; ++i) {
    message += "\n  " + differences[i];
  }
  if (differences.size() > kShown) {
    message += fmt::format("\n  and {} more", differences.size() - kShown);
  }
  throw UserError("{}\nRepeat the command that began it to go on, or give another --out.", message);
}

}  // namespace barcodemae
