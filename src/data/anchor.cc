// SPDX-License-Identifier: MIT
#include "data/anchor.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/file_content.h"
#include "base/log.h"
#include "base/progress.h"

namespace barcodemae {
namespace {

std::optional<MarkerProfile> learn_from(const Dataset& data) {
  const std::int64_t count = std::min(data.size(), MarkerProfile::kLearningRecords);
  std::vector<std::string> sequences;
  sequences.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    sequences.push_back(data.sequence(i * data.size() / count));
  }
  return MarkerProfile::learn({sequences.begin(), sequences.end()});
}

std::string records_explained(double share, const Dataset& data) {
  return fmt::format("{:.1f} % of {} records", 100 * share, format_count(data.size()));
}

std::string describe(const MarkerProfile& profile) {
  return fmt::format("{} sites, {} conserved, codons from site {}", profile.length(),
                     profile.conserved_sites(), profile.codon_start());
}

MarkerProfile read_profile(const std::string& file) {
  const std::optional<std::string> text = file_content(file);
  if (!text) {
    throw UserError("--anchor {}: cannot read this file.\nGive auto, none or a marker.json.", file);
  }
  return MarkerProfile::from_json(*text, file);
}

}  // namespace

std::optional<MarkerProfile> resolve_anchor(const std::string& option, Dataset& data) {
  data.unanchor();
  if (option == "none") return std::nullopt;
  if (option != "auto") {
    MarkerProfile profile = read_profile(option);
    anchor_by_model(profile, data);
    return profile;
  }
  std::optional<MarkerProfile> profile = learn_from(data);
  if (!profile) {
    log_info("anchor: no marker region found in these records; read as they are");
    return std::nullopt;
  }
  const double share = data.anchor(*profile);
  if (share < kAnchorShare) {
    log_info("anchor: the best marker profile explains only {}; read as they are",
             records_explained(share, data));
    data.unanchor();
    return std::nullopt;
  }
  log_info("anchor: marker coordinates learned ({}); they explain {}", describe(*profile),
           records_explained(share, data));
  return profile;
}

std::optional<MarkerProfile> profile_to_read_by(const std::string& option,
                                                const std::optional<MarkerProfile>& own) {
  if (option == "auto") return own;
  if (option == "none") return std::nullopt;
  return read_profile(option);
}

void anchor_by_model(const std::optional<MarkerProfile>& profile, Dataset& data) {
  data.unanchor();
  if (!profile) return;
  const double share = data.anchor(*profile);
  if (share < kAnchorShare) {
    log_warn("anchor: the marker profile ({}) explains only {}; the others are read as they are",
             describe(*profile), records_explained(share, data));
  } else {
    log_info("anchor: the marker profile ({}) explains {}", describe(*profile),
             records_explained(share, data));
  }
}

}  // namespace barcodemae
