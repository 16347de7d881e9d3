// SPDX-License-Identifier: MIT
#include "nn/presets.h"

#include "base/error.h"

namespace barcodemae {

std::vector<std::string> preset_names() { return {"tiny", "small", "base"}; }

ModelConfig preset(const std::string& name) {
  ModelConfig config;  // the paper's
  if (name == "base") return config;
  // A head per base and words made of bases learn sooner, which short trainings need.
  config.head = HeadKind::kBase;
  config.kmer_initialisation = KmerInitialisation::kBases;
  if (name == "small") {
    config.encoder = {.width = 256, .layers = 6, .heads = 4, .feed_forward = 1024};
    config.decoder = {.width = 256, .layers = 2, .heads = 4, .feed_forward = 1024};
    return config;
  }
  if (name == "tiny") {
    config.encoder = {.width = 64, .layers = 2, .heads = 4, .feed_forward = 256};
    config.decoder = {.width = 64, .layers = 1, .heads = 4, .feed_forward = 256};
    return config;
  }
  throw UserError("There is no preset '{}'. Choose tiny, small or base.", name);
}

}  // namespace barcodemae
