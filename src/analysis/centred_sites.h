// SPDX-License-Identifier: MIT
// A baseline that needs no training: which bases a barcode has, and how unusual they are there.
#pragma once

#include <cstdint>
#include <span>

#include "analysis/nearest.h"
#include "data/dataset.h"

namespace barcodemae {

/// Of some records of a data set, anchored by `profile`, four numbers a site, [4 · sites]: 1 for
/// the base there and 0 for the others, less the frequency that each has at this site; zeros where
/// the record has no base. By cosine, a base shared with few counts for much and one shared with
/// nearly all for nothing, which the plain identity does not tell apart. `data`, `records` and
/// `profile` must outlive it.
RowSource centred_site_rows(const Dataset& data, std::span<const std::int64_t> records,
                            const MarkerProfile& profile);

}  // namespace barcodemae
