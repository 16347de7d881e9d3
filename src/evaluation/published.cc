// SPDX-License-Identifier: MIT
#include "evaluation/published.h"

namespace barcodemae {

const std::vector<PublishedRow>& published_rows() {
  static const std::string table =
      "BIOSCAN-5M's table, in the README of BarcodeBERT's repository, branch BIOSCAN-5M";
  static const std::optional<double> none;
  static const std::vector<PublishedRow> rows = {
      {"BLAST", 0.5874, none, 0.9978, table},
      {"CNN", 0.2988, none, 0.9770, table},
      {"Nucleotide Transformer", 0.2167, 0.5241, 0.9899, table},
      {"DNABERT-2", 0.1799, 0.6781, 0.9923, table},
      {"DNABERT-S", 0.1770, 0.9550, 0.9899, table},
      {"HyenaDNA", 0.1926, 0.5482, 0.9871, table},
      {"BarcodeBERT, trained on Canadian invertebrates", 0.2315, 0.9193, 0.9852, table},
      {"encoder-only 8-4-4", 0.4703, 0.9447, 0.9928, table},
      {"BarcodeBERT retrained on BIOSCAN-5M (k not stated)", 0.5831, none, none,
       "comment in slurm/final_scripts of BarcodeMAE's repository"},
      {"BarcodeMAE+, genus labels and [CLS]", 0.8065, none, none,
       "data/temperature_ablation_bioscan5m.csv of BarcodeMAE's repository, k = 1"},
  };
  return rows;
}

}  // namespace barcodemae
