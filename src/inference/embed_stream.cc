// SPDX-License-Identifier: MIT
#include "inference/embed_stream.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "base/error.h"
#include "base/progress.h"
#include "base/threads.h"
#include "communication/collectives.h"
#include "data/splits.h"

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

/// What becomes of some consecutive records.
struct Embedded {
  std::vector<Placement> placements;
  std::vector<std::uint8_t> has_tokens;
  Matrix vectors;
};

Embedded embed_records(Embedder& embedder, std::span<const Record> records,
                       const std::function<void(std::int64_t)>& progress) {
  const SequenceCoder& coder = embedder.description().coder;
  const auto count = static_cast<std::int64_t>(records.size());
  Embedded result;
  result.placements.resize(records.size());
  std::vector<TokenSequence> sequences(records.size());
  parallel_for((count + kPiece - 1) / kPiece, [&](std::int64_t piece, int) {
    for (std::int64_t r = piece * kPiece; r < std::min(count, (piece + 1) * kPiece); ++r) {
      const auto i = static_cast<std::size_t>(r);
      if (coder.profile) result.placements[i] = coder.profile->place(records[i].sequence);
      sequences[i] = coder.encode(records[i].sequence, result.placements[i]);
    }
  });
  for (const TokenSequence& sequence : sequences) {
    result.has_tokens.push_back(sequence.ids.empty() ? 0 : 1);
  }
  result.vectors = embedder.embed(sequences, progress);
  return result;
}

/// At rank 0 those of all processes, in order.
Embedded gather(Communicator& communicator, Embedded part) {
  if (communicator.size() == 1) return part;
  Embedded whole;
  whole.placements = concatenate_at_root(communicator, std::span<const Placement>(part.placements));
  whole.has_tokens =
      concatenate_at_root(communicator, std::span<const std::uint8_t>(part.has_tokens));
  whole.vectors.cols = part.vectors.cols;
  whole.vectors.rows = static_cast<std::int64_t>(whole.placements.size());
  whole.vectors.values =
      concatenate_at_root(communicator, std::span<const float>(part.vectors.values));
  return whole;
}

}  // namespace

EmbedStreamResult embed_stream(
    Embedder& embedder, RecordReader& reader, const EmbedStreamOptions& options,
    const std::function<void(const Record&, const Placement&, std::span<const float> vector)>& use,
    Communicator& communicator) {
  const SequenceCoder& coder = embedder.description().coder;
  EmbedStreamResult result;
  std::set<std::string> splits_of_file;
  std::int64_t read = 0;
  Progress progress("Embedding", "barcodes", 0);
  const FileShare file_share(reader);

  const std::int64_t chunk =
      std::max(options.chunk, options.chunk_per_process * communicator.size());
  std::vector<Record> records;
  for (bool more = true; more;) {
    records.clear();
    Record record;
    while (static_cast<std::int64_t>(records.size()) < chunk && (more = reader.next(record))) {
      if (!options.splits.empty()) {
        const bool wanted = std::ranges::find(options.splits, record.split) != options.splits.end();
        if (wanted || splits_of_file.size() < kSplitsRemembered) {
          splits_of_file.insert(record.split);
        }
        if (!wanted) continue;
      }
      records.push_back(std::move(record));
    }
    const Share share = share_of(static_cast<std::int64_t>(records.size()), communicator);
    const Embedded part = embed_records(
        embedder,
        std::span<const Record>(records).subspan(static_cast<std::size_t>(share.begin),
                                                 static_cast<std::size_t>(share.size())),
        [&](std::int64_t done) {
          progress.update(read + done * communicator.size(), file_share.text());
        });
    const Embedded embedded = gather(communicator, part);
    const auto count = static_cast<std::int64_t>(embedded.placements.size());
    if (communicator.rank() == 0 && embedded.placements.size() != records.size()) {
      throw UserError(
          "the processes of this job read different records\n"
          "All of them must see the same file.");
    }
    for (std::int64_t r = 0; r < count; ++r) {
      const auto i = static_cast<std::size_t>(r);
      if (embedded.has_tokens[i] == 0) {
        result.skips.push_back(
            {records[i].line, records[i].id,
             coder.bpe ? std::string("no token to embed")
                       : fmt::format("no whole {}-mer to embed in its {} bases",
                                     coder.tokenizer.vocabulary().k, records[i].sequence.size())});
        continue;
      }
      ++result.embedded;
      if (coder.profile && !embedded.placements[i].explained) ++result.unexplained;
      use(records[i], embedded.placements[i], embedded.vectors.row(r));
    }
    read += static_cast<std::int64_t>(records.size());
  }
  progress.update(read);
  progress.finish();

  const auto missing = std::ranges::find_if(
      options.splits, [&](const std::string& split) { return !splits_of_file.contains(split); });
  if (missing != options.splits.end()) {
    throw UserError("No record is of the split \"{}\"\nSplits of this file: {}", *missing,
                    reader.has_splits()
                        ? listed_splits({splits_of_file.begin(), splits_of_file.end()})
                        : "none (it has no column \"split\")");
  }
  if (!result.skips.empty() && result.embedded == 0 && communicator.rank() == 0)
    throw UserError("None of the {} records could be embedded: the first, \"{}\", has {}", read,
                    result.skips.front().id, result.skips.front().reason);
  const auto& unreadable = reader.report().skips;
  result.skips.insert(result.skips.end(), unreadable.begin(), unreadable.end());
  std::stable_sort(result.skips.begin(), result.skips.end(),
                   [](const auto& a, const auto& b) { return a.line < b.line; });
  return result;
}

}  // namespace barcodemae
