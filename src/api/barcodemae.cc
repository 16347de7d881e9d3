// SPDX-License-Identifier: MIT
#include "barcodemae/barcodemae.h"

#include "backend/backends.h"
#include "barcodemae_version.h"
#include "base/threads.h"
#include "formats/model_directory.h"
#include "inference/embedder.h"
#include "sequence/normalise.h"

namespace barcodemae {
namespace {

DType activation(ModelOptions::Precision precision) {
  switch (precision) {
    case ModelOptions::Precision::kFloat32:
      return DType::kFloat32;
    case ModelOptions::Precision::kBFloat16:
      return DType::kBFloat16;
    case ModelOptions::Precision::kAuto:
      break;
  }
  return preferred_cpu_precision();
}

}  // namespace

struct Model::State {
  Embedder embedder;
};

Model::Model(const std::string& directory_or_name, const ModelOptions& options) {
  if (options.threads > 0) set_thread_count(options.threads);
  EmbedderOptions embedder_options;
  embedder_options.precision = activation(options.precision);
  state_ = std::make_unique<State>(
      State{Embedder::load(find_model(directory_or_name), embedder_options)});
}

Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

int Model::width() const { return state_->embedder.width(); }

std::vector<float> Model::embed(const std::vector<std::string>& sequences) {
  const SequenceCoder& coder = state_->embedder.description().coder;
  std::vector<TokenSequence> tokens;
  tokens.reserve(sequences.size());
  std::string normalised;
  for (const std::string& sequence : sequences) {
    SequenceNormaliser normaliser(normalised);
    normaliser.append(sequence);
    SequenceTraits traits;
    const bool usable = normaliser.finish(traits).empty();
    tokens.push_back(usable ? coder.encode(normalised) : TokenSequence{});
  }
  return state_->embedder.embed(tokens).values;
}

const char* version() { return BARCODEMAE_VERSION; }

}  // namespace barcodemae
