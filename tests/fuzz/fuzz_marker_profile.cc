// SPDX-License-Identifier: MIT
// Any text as a marker.json: a profile that places and writes itself again, or a UserError.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "marker/marker_profile.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using barcodemae::MarkerProfile;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const MarkerProfile profile = MarkerProfile::from_json(text, "fuzz");
    const auto placement = profile.place(profile.consensus());
    if (!placement.explained || placement.begin != 0) std::abort();
    const std::string json = profile.to_json();
    if (MarkerProfile::from_json(json, "fuzz").to_json() != json) std::abort();
  } catch (const barcodemae::UserError&) {
    return 0;
  }
  return 0;
}
