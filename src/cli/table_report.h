// SPDX-License-Identifier: MIT
#pragma once

#include "evaluation/table.h"
#include "report/report.h"

namespace barcodemae {

/// The table as a page: charts, confusion by rank, maps of the embeddings.
Report table_report(const TableResult& result);

}  // namespace barcodemae
