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
#include "inference/inference_mask.h"
#include "nn/encoder.h"
#include "tensor/context.h"

namespace barcodemae {

struct EmbedderOptions {
  DType precision = DType::kFloat32;  ///< or kBFloat16, kInt8
  /// Tokens per forward pass; no influence on results. 0: what keeps the device busy.
  std::int64_t batch_tokens = 0;
  std::string device = "cpu";     ///< as make_backend() knows it
  std::string anchor = "auto";    ///< of load(), as profile_to_read_by() knows it
  std::string pooling = "model";  ///< as pool_as() knows it
};

/// What `pooling` makes of a model: "model" leaves its own pooling and its readout, another word
/// (nn/config.h) means that pooling and no readout. Throws UserError for what it cannot be.
void pool_as(const std::string& pooling, ModelDescription& description);

/// An encoder ready to embed. The vector of a sequence is the mean of the last hidden states over
/// its tokens, or what pooling (nn/config.h) and readout (formats/readout.h) say, float32, not
/// normalised; it does not depend on what else is in the batch.
class Embedder {
 public:
  /// Loads a model directory. Throws UserError when it, options.anchor or options.pooling cannot be
  /// used.
  static Embedder load(const std::filesystem::path& directory, const EmbedderOptions& options);
  /// The same architecture and coder with the weights that training begins with, for that seed: the
  /// baseline of every table. Pooled alike, but without a readout, which was fitted to another.
  static Embedder random(const ModelDescription& description, std::uint64_t seed,
                         const EmbedderOptions& options);
  /// Uses the parameters of a model in training (its validation). Encoder and backend must outlive
  /// the embedder, and the backend's compute copies be fresh for `options.precision`.
  static Embedder borrow(const ModelDescription& description, const Encoder& encoder,
                         Backend& backend, const EmbedderOptions& options);
  Embedder(Embedder&&) noexcept;
  ~Embedder();

  int width() const;
  const ModelDescription& description() const;

  /// Vectors [sequences, width] of token sequences, in input order. Sorted by length and packed
  /// inside. Sequences without tokens get zeros: the caller reports them. Throws UserError when the
  /// activations need more memory than there is. `progress` is told how many are done, now and
  /// then.
  Matrix embed(const std::vector<TokenSequence>& sequences,
               const std::function<void(std::int64_t done)>& progress = {});
  /// Records of a data set, in the order given. If the model has a profile, the data set is read by
  /// its placements when it is anchored, and each record is placed here when it is not. With a
  /// mask, the vector is the mean that the mask says, of what the encoder makes of the masked
  /// sequence.
  Matrix embed(const Dataset& data, std::span<const std::int64_t> records,
               const std::string& progress_title = {}, const InferenceMask& mask = {});

 private:
  struct State;
  explicit Embedder(std::unique_ptr<State> state);
  /// `pooled`: of each sequence, the tokens in its mean; empty: all tokens of all sequences.
  Matrix embed(const std::vector<TokenSequence>& sequences,
               const std::vector<std::vector<std::int32_t>>& pooled,
               const std::function<void(std::int64_t done)>& progress);
  std::unique_ptr<State> state_;
};

}  // namespace barcodemae
