// SPDX-License-Identifier: MIT
// Models of BarcodeBERT, BarcodeMAE and transformers as models of ours.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "formats/model_directory.h"
#include "interop/foreign_tokenizer.h"

namespace barcodemae {

class ForeignModel {
 public:
  /// What there is beside the encoder.
  enum class Pretraining {
    kNone,         ///< nothing
    kHead,         ///< a linear head on the encoder: masked language modelling
    kAutoencoder,  ///< projection, decoder and its head
  };

  /// Opens and understands a model, without reading its weights. Throws UserError as
  /// read_checkpoint_facts and read_foreign_tokenizer do, for a model that is no BERT as the engine
  /// has it, and for tensors of the encoder that are missing, misshapen or unknown.
  ForeignModel(const std::filesystem::path& path, const ImportOptions& options);

  const ModelDescription& description() const { return description_; }
  Pretraining pretraining() const { return pretraining_; }
  /// Tensors that no place was found for, sorted: poolers, other heads.
  const std::vector<std::string>& left_out() const { return left_out_; }

  /// Declares the parameters of all that there is, the head alone as head.weight, head.bias.
  void declare(Parameters& parameters) const;
  /// Fills them. Throws UserError for values that are not finite.
  void load(Parameters& parameters) const;

 private:
  void find_parts();
  void read_config(const ImportOptions& options);
  void check_tensors();
  /// Name in the file of a parameter.
  std::string name_in_file(const std::string& name) const;

  CheckpointFacts facts_;
  std::map<std::string, std::string> files_names_;  ///< name without data parallelism's → in file
  std::string encoder_prefix_, head_prefix_;
  Pretraining pretraining_ = Pretraining::kNone;
  ModelDescription description_;
  std::vector<std::int32_t> id_in_file_;
  std::vector<std::string> left_out_;
};

}  // namespace barcodemae
