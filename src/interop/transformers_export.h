// SPDX-License-Identifier: MIT
// A model for those who go on in PyTorch: what transformers.BertForTokenClassification loads.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "formats/model_directory.h"

namespace barcodemae {

struct TransformersExport {
  bool decoder = false;               ///< written to decoder/
  bool head = false;                  ///< written with the encoder
  std::vector<std::string> left_out;  ///< without a place: tensors, the readout
};

/// Writes into an existing folder: the model directory of the encoder, and what the model's own
/// pretraining.safetensors holds, under the names that BarcodeMAE's code gives it.
///  * A head on the encoder: model.safetensors is a BertForTokenClassification ("bert.…" and
///    "classifier.…"), which BertModel and this program read as well. Of a per-base head,
///    site_bias.safetensors has site_bias [positions, 4k], to be added to the logits.
///  * A decoder: decoder/ is a BertForTokenClassification to be given inputs_embeds; row 0 of its
///    word table is the mask vector, the others are 0. decoder/projection.safetensors has
///    projection_layer.{weight,bias} and, of a per-base head, site_bias.
/// `parameters` are the encoder's, loaded. Throws UserError for int8, which transformers does not
/// read.
TransformersExport export_to_transformers(const std::filesystem::path& folder,
                                          const std::filesystem::path& model,
                                          const ModelDescription& whole,
                                          const Parameters& parameters, WeightType type);

}  // namespace barcodemae
