// SPDX-License-Identifier: MIT
// What the tokens of a barcode say about each site of the marker: a linear path past the encoder.
#pragma once

#include <cstdint>
#include <span>

#include "data/sequence_coder.h"

namespace barcodemae {

/// Whether a model that reads like this has sites at all: k-mers in marker coordinates.
bool has_site_features(const SequenceCoder& coder);
/// Numbers of a barcode: four for each base of each place of a k-mer. 0 without sites.
int site_feature_count(const SequenceCoder& coder);

/// Writes into `features` [site_feature_count], for each place, each of its bases and each of A, C,
/// G, T: 1 if it is this one, less its frequency at that site of the marker; zeros where there is
/// no k-mer. The same as analysis/centred_sites.h but for bases outside whole k-mers.
void write_site_features(const SequenceCoder& coder, const TokenSequence& tokens,
                         std::span<float> features);

}  // namespace barcodemae
