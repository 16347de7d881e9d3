// SPDX-License-Identifier: MIT
// Everything a training needs to go on: DIR/checkpoints/step-N/{state.safetensors, state.json}.
#pragma once

#include <filesystem>
#include <optional>

#include "tensor/backend.h"
#include "tensor/parameters.h"
#include "train/training_state.h"

namespace barcodemae {

inline constexpr int kCheckpointFormatVersion = 1;

class CheckpointStore {
 public:
  /// `directory` is made when missing; what killed processes left unfinished in it is removed.
  explicit CheckpointStore(std::filesystem::path directory);

  /// Writes values and moments with the state, whole or not at all, and removes all checkpoints but
  /// the newest two. Throws UserError when the disk is full.
  void save(const Parameters& parameters, Backend& backend, const TrainingState& state) const;

  /// Loads the newest checkpoint that is readable into values and moments; damaged ones are named
  /// in a warning. nullopt: there is none. Throws UserError when checkpoints exist and none is
  /// usable.
  std::optional<TrainingState> load(Parameters& parameters, Backend& backend) const;

  /// Folders of complete checkpoints, newest first.
  std::vector<std::filesystem::path> list() const;

 private:
  std::filesystem::path directory_;
};

}  // namespace barcodemae
