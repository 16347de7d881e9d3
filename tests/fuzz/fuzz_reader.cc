// SPDX-License-Identifier: MIT
// Any bytes as a file of barcodes, compressed or not: records come out, or a UserError.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "sequence/reader.h"

namespace {

/// What every record that is handed out keeps to.
void check(bool holds) {
  if (!holds) std::abort();
}

void read(std::string_view bytes) {
  using namespace barcodemae;
  std::int64_t records = 0;
  try {
    RecordReader reader(decompress(memory_source(bytes, "fuzz")));
    std::int64_t line = 0;
    for (Record record; reader.next(record); ++records) {
      check(!record.id.empty());
      check(!record.sequence.empty() && record.sequence.back() != 'N');
      check(record.sequence.find_first_not_of("ACGTRYSWKMBDHVN") == std::string::npos);
      check(record.line > line);
      line = record.line;
    }
    check(records > 0 && reader.report().records == records);
    check(static_cast<std::size_t>(reader.report().skipped) == reader.report().skips.size());
    reader.report().summary("fuzz");
  } catch (const UserError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read({reinterpret_cast<const char*>(data), size});
  return 0;
}
