// SPDX-License-Identifier: MIT
// The option --anchor: whether and by which profile a data set is read in marker coordinates.
#pragma once

#include <optional>
#include <string>

#include "data/dataset.h"
#include "marker/marker_profile.h"

namespace barcodemae {

/// `auto` does not use a profile that explains fewer of the records.
inline constexpr double kAnchorShare = 0.8;

/// Carries out --anchor auto|none|FILE on a data set about to be trained on, and says what came of
/// it. auto: learns a profile from the data and anchors them by it, or leaves them as they are when
/// there is none that explains kAnchorShare of the records. FILE: a marker.json; used in any case,
/// with a warning when it explains fewer. none: nothing. Returns the profile the data are now
/// anchored by. Throws UserError when FILE cannot be used.
std::optional<MarkerProfile> resolve_anchor(const std::string& option, Dataset& data);

/// The profile that a finished model reads by: its own (auto), none, or another FILE's. Throws
/// UserError when FILE cannot be used.
std::optional<MarkerProfile> profile_to_read_by(const std::string& option,
                                                const std::optional<MarkerProfile>& own);

/// Anchors a data set by the profile of a model, when it has one, and says (a warning below
/// kAnchorShare) how many records it explains. For everything that reads with a finished model.
void anchor_by_model(const std::optional<MarkerProfile>& profile, Dataset& data);

}  // namespace barcodemae
