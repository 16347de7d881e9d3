// SPDX-License-Identifier: MIT
// The installed interface of barcodemae: a trained model in a program of yours.
//
//   barcodemae::Model model("coi-small");
//   std::vector<float> vectors = model.embed({"AACTTTATATTTTATTTTTGGAGCTTGAGCAGGA…"});
//
// Link barcodemae::barcodemae (find_package(barcodemae)). Errors are exceptions derived from
// std::runtime_error whose messages say what to do.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace barcodemae {

/// What a program chooses when it loads a model.
struct ModelOptions {
  enum class Precision { kAuto, kFloat32, kBFloat16 };
  Precision precision = Precision::kAuto;  ///< kAuto: the faster one on this machine
  /// Of the process: the last model that names a number sets it for all, so none may be made with
  /// one while another is embedding. 0: as it is, at first the cores this process may use.
  int threads = 0;
};

/// A pretrained encoder. One object may be used by one thread at a time.
class Model {
 public:
  /// A model directory, or the name of a shipped model. Throws std::runtime_error when it cannot be
  /// used.
  explicit Model(const std::string& directory_or_name, const ModelOptions& options = {});
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  /// Numbers per vector.
  int width() const;

  /// One vector per sequence, row after row: the mean of the encoder's last hidden states over the
  /// sequence's k-mers, or what the model's pooling and stored readout say, not normalised.
  /// Sequences may be lower case, hold gaps, U and IUPAC codes. A vector does not depend on the
  /// other sequences. A sequence without a usable k-mer gets zeros.
  std::vector<float> embed(const std::vector<std::string>& sequences);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Version of the library, as in `barcodemae --version`.
const char* version();

}  // namespace barcodemae
