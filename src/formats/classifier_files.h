// SPDX-License-Identifier: MIT
// The head of a fine-tuned model, beside its encoder: classes.json and classifier.safetensors.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "formats/npy.h"
#include "sequence/record.h"

namespace barcodemae {

inline constexpr int kClassifierFormatVersion = 1;

/// A linear layer on the mean over a barcode's tokens; softmax over the classes.
struct ClassifierHead {
  Rank rank = Rank::kSpecies;
  std::vector<std::string> classes;  ///< names, in the order of the rows
  Matrix weights;                    ///< [classes, width]
  std::vector<float> bias;           ///< [classes]
};

/// Writes both files, each atomically. In classifier.safetensors the tensors are called as
/// transformers calls them: classifier.weight, classifier.bias.
void write_classifier(const std::filesystem::path& directory, const ClassifierHead& head);

/// Throws UserError (file, what was expected, what to do) on anything missing or malformed, also
/// when the head does not fit an encoder of this width.
ClassifierHead read_classifier(const std::filesystem::path& directory, int width);

}  // namespace barcodemae
