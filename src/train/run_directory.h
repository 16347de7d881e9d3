// SPDX-License-Identifier: MIT
// DIR of a training: its lock, and run.json, which says what is being run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "communication/communicator.h"
#include "data/sequence_coder.h"
#include "train/pretrain_options.h"

namespace barcodemae {

inline constexpr int kRunFormatVersion = 1;

/// run.json
struct RunRecord {      // NOLINT(bugprone-exception-escape): ordered_json's move is not noexcept
  std::string version;  ///< of barcodemae
  nlohmann::ordered_json options;   ///< resolved, by name
  std::string simd;                 ///< level it began with, for the reader; empty: not known
  std::string data_file;            ///< as given; for the reader only
  std::string data_fingerprint;     ///< of the records' ids, sequences, labels and splits
  std::string profile_fingerprint;  ///< of the marker profile, "none" without
  std::int64_t total_steps = 0;     ///< fixed at the start, also with --minutes
  std::int64_t validate_every = 0, log_every = 0;
  bool finished = false;
  nlohmann::ordered_json result;  ///< what came out, once finished
};

nlohmann::ordered_json to_json(const RunRecord& record);
/// Throws UserError, naming `source`, when something is missing or of a newer format.
RunRecord run_from_json(const nlohmann::json& json, const std::string& source);

/// run.json of a folder. nullopt: there is none. Throws UserError when the file is malformed or of
/// a newer format.
std::optional<RunRecord> read_run(const std::filesystem::path& directory);

/// The folder of one run. While the object lives no other process can write there.
class RunDirectory {
 public:
  static constexpr const char* kRunFile = "run.json";

  /// Makes the folder when missing. Throws UserError when it cannot be written, when another
  /// process holds it, or when it holds a model that no run made. Removes what killed processes
  /// left unfinished in it.
  explicit RunDirectory(std::filesystem::path path);
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path run_file() const { return path_ / kRunFile; }
  std::filesystem::path metrics_file() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path report_file() const { return path_ / "report.html"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path last_model() const { return path_ / "last"; }

  std::optional<RunRecord> read() const { return read_run(path_); }
  void write(const RunRecord& record) const;

 private:
  std::filesystem::path path_;
  int lock_ = -1;
  bool made_ = false;  ///< the folder was not there before
};

/// The run that lies in rank 0's folder, in all processes. Collective.
std::optional<RunRecord> read_begun(const RunDirectory* directory, Communicator& communicator);

/// Throws UserError when the processes of a job differ in program, options, data or kind of
/// arithmetic. Collective.
void require_same_job(const RunRecord& run, Communicator& communicator);

/// What the model is given depends on the marker profile and on byte pairs, which may come from
/// files: their fingerprint, or "none".
std::string coder_fingerprint(const SequenceCoder& coder);

/// An option as a resumption looks at it.
struct ComparedOption {
  std::string name;
  nlohmann::json absent;     ///< its value in a run whose run.json lacks it
  bool added_later = false;  ///< … because it is older than the option
};
/// Those of a pretraining that must not change.
const std::vector<ComparedOption>& compared_pretrain_options();

/// What the checkpoints of a run know it by: all that check_same_run() compares, and the number of
/// steps, which --minutes measures anew in each run.
std::string run_fingerprint(
    const RunRecord& run, const std::vector<ComparedOption>& options = compared_pretrain_options());

/// Throws UserError naming each option (and version, and data) in which a command differs from the
/// run it would resume, with both values. Options that may change (threads, …) are not compared.
void check_same_run(const RunRecord& begun, const RunRecord& now,
                    const std::filesystem::path& directory,
                    const std::vector<ComparedOption>& options = compared_pretrain_options());

}  // namespace barcodemae
