// SPDX-License-Identifier: MIT
#include "sequence/columns.h"

#include <algorithm>

#include "sequence/text.h"

namespace barcodemae {

std::size_t find_column(const std::vector<std::string>& header,
                        const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    for (std::size_t column = 0; column < header.size(); ++column) {
      std::string joined = header[column];
      std::replace(joined.begin(), joined.end(), ' ', '_');
      if (equals_ignoring_case(joined, name)) return column;
    }
  }
  return kNoColumn;
}

std::vector<std::string> id_columns() {
  return {"processid", "process_id", "id",        "record_id", "sequence_id",
          "seq_id",    "sampleid",   "sample_id", "accession", "name"};
}

std::vector<std::string> rank_columns(Rank rank) {
  if (rank == Rank::kBin) return {"dna_bin", "bin_uri", "bin"};
  return {to_string(rank), std::string(to_string(rank)) + "_name"};
}

}  // namespace barcodemae
