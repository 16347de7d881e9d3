// SPDX-License-Identifier: MIT
// Frozen features: sequences in, vectors out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "formats/model_directory.h"
#include "formats/npy.h"
#include "nn/encoder.h"
#include "tensor/context.h"

namespace barcodemae {

struct EmbedderOptions {
  DType precision = DType::kFloat32;
  std::int64_t batch_tokens = 4096;  ///< tokens per forward pass; no influence on results
};

/// An encoder ready to embed. The vector of a sequence is the mean of the last hidden states over
/// its tokens, float32, not normalised; it does not depend on what else is in the batch.
class Embedder {
 public:
  /// Loads a model directory. Throws UserError when it cannot be used.
  static Embedder load(const std::filesystem::path& directory, const EmbedderOptions& options);
  /// The same architecture and coder with randomly initialised weights: the baseline of every table.
  static Embedder random(const ModelDescription& description, std::uint64_t seed,
                         const EmbedderOptions& options);
  /// Uses the parameters of a model in training (its validation); they must outlive the embedder.
  static Embedder borrow(const ModelDescription& description, const Encoder& encoder,
                         Backend& backend, const EmbedderOptions& options);
  Embedder(Embedder&&) noexcept;
  ~Embedder();

  int width() const;
  const ModelDescription& description() const;

  /// Vectors of token sequences, in input order. Sorted by length and packed inside. Sequences
  /// without tokens get zeros: the caller reports them.
  Matrix embed(const std::vector<TokenSequence>& sequences,
               const std::function<void(std::int64_t done)>& progress = {});
  /// Records of a data set (anchored by the model's profile, if it has one).
  Matrix embed(const Dataset& data, std::span<const std::int64_t> records,
               const std::string& progress_title = {});

 private:
  struct State;
  explicit Embedder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace barcodemae
