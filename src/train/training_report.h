// SPDX-License-Identifier: MIT
// DIR/report.html: the curves of metrics.jsonl.
#pragma once

#include "train/run_directory.h"

namespace barcodemae {

/// Warns when it cannot be written.
void write_training_report(const RunDirectory& directory, const RunRecord& run);

}  // namespace barcodemae
