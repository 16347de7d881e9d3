// SPDX-License-Identifier: MIT
// Everything a training needs to go on: DIR/checkpoints/step-N/{state.safetensors, state.json}.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tensor/backend.h"
#include "tensor/parameters.h"
#include "train/training_state.h"

namespace barcodemae {

inline constexpr int kCheckpointFormatVersion = 1;

class CheckpointStore {
 public:
  /// `directory` is made when missing; what killed processes left unfinished in it is removed.
  /// `run`: fingerprint of the run that the checkpoints belong to.
  CheckpointStore(std::filesystem::path directory, std::string run);

  /// Writes values and moments with the state, whole or not at all, and removes all checkpoints but
  /// the newest two. Throws UserError when the disk is full.
  void save(const Parameters& parameters, Backend& backend, const TrainingState& state) const;

  /// Loads the newest checkpoint that is readable into values and moments. Damaged ones are named
  /// in a warning, and removed once another was loaded; those of another run are removed. nullopt:
  /// there is none of this run. Throws UserError when there are some and none is usable.
  std::optional<TrainingState> load(Parameters& parameters, Backend& backend) const;

  /// Removes all checkpoints, with a warning when there are any: whose they are is not known.
  void clear() const;

  /// Folders of complete checkpoints, newest first.
  std::vector<std::filesystem::path> list() const;

 private:
  std::filesystem::path directory_;
  std::string run_;
};

}  // namespace barcodemae
