// SPDX-License-Identifier: MIT
#include "inference/embed_stream.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "base/error.h"
#include "base/progress.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

constexpr std::int64_t kPiece = 256;           // records prepared by one thread at a time
constexpr std::size_t kSplitsRemembered = 20;  // for a message

/// How much of the file is read, and for how long the rest will take at the rate so far. The number
/// of records is unknown until the end, so that the progress line itself cannot say it.
class FileShare {
 public:
  explicit FileShare(const RecordReader& reader) : reader_(reader) {}

  std::string text() const {
    const auto total = static_cast<double>(reader_.bytes_total());
    const auto read = static_cast<double>(reader_.bytes_read());
    if (total <= 0 || read <= 0) return {};
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start_;
    return fmt::format("{:.0f} % of the file, {} left", 100 * read / total,
                       format_duration(passed.count() * (total - read) / read));
  }

 private:
  const RecordReader& reader_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

EmbedStreamResult embed_stream(Embedder& embedder, RecordReader& reader,
                               const EmbedStreamOptions& options,
                               const std::function<void(const Record&, const Placement&,
                                                        std::span<const float> vector)>& use) {
  const SequenceCoder& coder = embedder.description().coder;
  EmbedStreamResult result;
  std::set<std::string> other_splits;
  std::int64_t read = 0;
  Progress progress("Embedding", "barcodes", 0);
  const FileShare share(reader);

  std::vector<Record> records;
  std::vector<Placement> placements;
  std::vector<TokenSequence> sequences;
  for (bool more = true; more;) {
    records.clear();
    Record record;
    while (static_cast<std::int64_t>(records.size()) < options.chunk &&
           (more = reader.next(record))) {
      if (!options.split.empty() && record.split != options.split) {
        if (other_splits.size() < kSplitsRemembered) other_splits.insert(record.split);
        continue;
      }
      records.push_back(std::move(record));
    }
    const auto count = static_cast<std::int64_t>(records.size());
    placements.assign(records.size(), {});
    sequences.assign(records.size(), {});
    parallel_for((count + kPiece - 1) / kPiece, [&](std::int64_t piece, int) {
      for (std::int64_t r = piece * kPiece; r < std::min(count, (piece + 1) * kPiece); ++r) {
        const auto i = static_cast<std::size_t>(r);
        if (coder.profile) placements[i] = coder.profile->place(records[i].sequence);
        sequences[i] = coder.encode(records[i].sequence, placements[i]);
      }
    });
    const Matrix vectors = embedder.embed(
        sequences, [&](std::int64_t done) { progress.update(read + done, share.text()); });
    for (std::int64_t r = 0; r < count; ++r) {
      const auto i = static_cast<std::size_t>(r);
      if (sequences[i].ids.empty()) {
        result.skips.push_back(
            {records[i].line, records[i].id,
             fmt::format("no whole {}-mer to embed in its {} bases", coder.tokenizer.vocabulary().k,
                         records[i].sequence.size())});
        continue;
      }
      ++result.embedded;
      if (coder.profile && !placements[i].explained) ++result.unexplained;
      use(records[i], placements[i], vectors.row(r));
    }
    read += count;
  }
  progress.update(read);
  progress.finish();

  if (read == 0) {
    other_splits.erase("");
    throw UserError("No record is of the split \"{}\"\nSplits of this file: {}", options.split,
                    other_splits.empty() ? "none (it has no column \"split\")"
                                         : fmt::format("{}", fmt::join(other_splits, ", ")));
  }
  if (result.embedded == 0)
    throw UserError("None of the {} records could be embedded: the first, \"{}\", has {}", read,
                    result.skips.front().id, result.skips.front().reason);
  const auto& unreadable = reader.report().skips;
  result.skips.insert(result.skips.end(), unreadable.begin(), unreadable.end());
  std::stable_sort(result.skips.begin(), result.skips.end(),
                   [](const auto& a, const auto& b) { return a.line < b.line; });
  return result;
}

}  // namespace barcodemae
