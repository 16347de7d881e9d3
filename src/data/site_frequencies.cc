// SPDX-License-Identifier: MIT
#include "data/site_frequencies.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <mutex>
#include <numeric>

#include "base/error.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

constexpr std::size_t kRecordsPerCall = 1024;

/// Calls body(block, batch) for the records in fixed blocks, in parallel.
template <typename Body>
void for_each_block(const Dataset& data, const SequenceCoder& coder,
                    std::span<const std::int64_t> records, const FrameOffsets& offsets,
                    const Body& body) {
  const std::size_t blocks = (records.size() + kRecordsPerCall - 1) / kRecordsPerCall;
  parallel_for(static_cast<std::int64_t>(blocks), [&](std::int64_t index, int) {
    const auto block = static_cast<std::size_t>(index);
    const auto part =
        records.subspan(block * kRecordsPerCall,
                        std::min(kRecordsPerCall, records.size() - block * kRecordsPerCall));
    body(block, pack(data, coder, part, offsets));
  });
}

/// Base at place j (0 = first) of a k-mer's number.
std::size_t base_at(std::int32_t kmer, int k, int j) {
  return static_cast<std::size_t>(kmer >> (2 * (k - 1 - j)) & 3);
}

/// Of byte pairs: of the tokens from coder.first_token() on.
std::vector<float> token_log_frequencies(const Dataset& data, const SequenceCoder& coder,
                                         std::span<const std::int64_t> records,
                                         const FrameOffsets& offsets) {
  const std::int32_t first = coder.first_token();
  std::vector<std::int64_t> counts(
      coder.bpe->vocabulary().tokens.size() - static_cast<std::size_t>(first), 1);
  std::mutex mutex;
  for_each_block(data, coder, records, offsets, [&](std::size_t, const PackedBatch& batch) {
    const std::lock_guard lock(mutex);  // whole numbers: the order does not matter
    for (const std::int32_t id : batch.ids)
      if (id >= first) ++counts[static_cast<std::size_t>(id - first)];
  });
  const auto total =
      static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
  std::vector<float> logs;
  logs.reserve(counts.size());
  for (const std::int64_t count : counts)
    logs.push_back(static_cast<float>(std::log(static_cast<double>(count) / total)));
  return logs;
}

double token_frequency_loss(std::span<const float> token_log_frequencies, std::int32_t first_token,
                            const PackedBatch& batch, std::span<const std::int32_t> rows) {
  double sum = 0;
  for (const std::int32_t row : rows) {
    const std::int32_t token = batch.ids[static_cast<std::size_t>(row)] - first_token;
    if (token >= 0) sum -= double{token_log_frequencies[static_cast<std::size_t>(token)]};
  }
  return sum;
}

}  // namespace

std::vector<float> site_log_frequencies(const Dataset& data, const SequenceCoder& coder,
                                        std::span<const std::int64_t> records, int max_positions,
                                        const FrameOffsets& offsets) {
  if (coder.bpe) return token_log_frequencies(data, coder, records, offsets);
  constexpr double kPseudoCounts = 4;
  const KmerVocabulary& vocabulary = coder.tokenizer.vocabulary();
  const auto row = 4 * static_cast<std::size_t>(vocabulary.k);
  const auto positions = static_cast<std::size_t>(max_positions);
  std::vector<std::int64_t> counts(positions * row);
  std::mutex mutex;
  for_each_block(data, coder, records, offsets, [&](std::size_t, const PackedBatch& batch) {
    std::vector<std::int32_t> block_counts(counts.size());
    for (std::size_t token = 0; token < batch.ids.size(); ++token) {
      const std::int32_t kmer = batch.ids[token] - vocabulary.first_kmer();
      const auto position = static_cast<std::size_t>(batch.positions[token]);
      if (kmer < 0 || kmer >= vocabulary.kmers() || position >= positions) continue;
      for (int j = 0; j < vocabulary.k; ++j) {
        ++block_counts[position * row + 4 * static_cast<std::size_t>(j) +
                       base_at(kmer, vocabulary.k, j)];
      }
    }
    const std::lock_guard lock(mutex);  // whole numbers: the order does not matter
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += block_counts[i];
  });

  // Overall frequencies of the four bases at each place of the k-mer.
  std::vector<double> overall(row, 1.0);
  for (std::size_t i = 0; i < counts.size(); ++i)
    overall[i % row] += static_cast<double>(counts[i]);
  for (std::size_t place = 0; place < row; place += 4) {
    const double sum = std::accumulate(&overall[place], &overall[place] + 4, 0.0);
    for (std::size_t base = 0; base < 4; ++base) overall[place + base] /= sum;
  }
  std::vector<float> logs(counts.size());
  for (std::size_t place = 0; place < counts.size(); place += 4) {
    const auto total =
        static_cast<double>(std::accumulate(&counts[place], &counts[place] + 4, std::int64_t{0}));
    for (std::size_t i = place; i < place + 4; ++i) {
      const double smoothed = static_cast<double>(counts[i]) + kPseudoCounts * overall[i % row];
      logs[i] = static_cast<float>(std::log(smoothed / (total + kPseudoCounts)));
    }
  }
  return logs;
}

double site_frequency_loss(std::span<const float> site_log_frequencies, const SequenceCoder& coder,
                           const PackedBatch& batch, std::span<const std::int32_t> rows) {
  if (coder.bpe) {
    return token_frequency_loss(site_log_frequencies, coder.first_token(), batch, rows);
  }
  const KmerVocabulary& vocabulary = coder.tokenizer.vocabulary();
  const auto row_size = 4 * static_cast<std::size_t>(vocabulary.k);
  double sum = 0;
  std::int64_t scored = 0, with_n = 0;
  for (const std::int32_t row : rows) {
    const auto token = static_cast<std::size_t>(row);
    const std::int32_t kmer = batch.ids[token] - vocabulary.first_kmer();
    if (kmer < 0) continue;
    if (kmer >= vocabulary.kmers()) {
      ++with_n;
      continue;
    }
    ++scored;
    const std::size_t begin = static_cast<std::size_t>(batch.positions[token]) * row_size;
    BARCODEMAE_CHECK(begin + row_size <= site_log_frequencies.size(), "position {} has no site",
                     batch.positions[token]);
    for (int j = 0; j < vocabulary.k; ++j) {
      sum -= double{site_log_frequencies[begin + 4 * static_cast<std::size_t>(j) +
                                         base_at(kmer, vocabulary.k, j)]};
    }
  }
  if (scored == 0) return 0;
  return sum * static_cast<double>(scored + with_n) / static_cast<double>(scored);
}

double site_frequency_loss(std::span<const float> site_log_frequencies, const Dataset& data,
                           const SequenceCoder& coder, std::span<const std::int64_t> records,
                           const FrameOffsets& offsets) {
  const KmerVocabulary& vocabulary = coder.tokenizer.vocabulary();
  const std::size_t blocks = (records.size() + kRecordsPerCall - 1) / kRecordsPerCall;
  std::vector<double> sums(blocks);
  std::vector<std::int64_t> kmers(blocks);
  for_each_block(data, coder, records, offsets, [&](std::size_t block, const PackedBatch& batch) {
    std::vector<std::int32_t> rows;
    for (std::size_t token = 0; token < batch.ids.size(); ++token) {
      const std::int32_t kmer = batch.ids[token] - vocabulary.first_kmer();
      if (kmer >= 0 && kmer < vocabulary.kmers()) rows.push_back(static_cast<std::int32_t>(token));
    }
    sums[block] = site_frequency_loss(site_log_frequencies, coder, batch, rows);
    kmers[block] = static_cast<std::int64_t>(rows.size());
  });
  const auto count = std::accumulate(kmers.begin(), kmers.end(), std::int64_t{0});
  const double sum = std::accumulate(sums.begin(), sums.end(), 0.0);
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

}  // namespace barcodemae
