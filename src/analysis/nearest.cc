// SPDX-License-Identifier: MIT
#include "analysis/nearest.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "analysis/sgemm.h"
#include "base/error.h"
#include "base/one_openmp_thread.h"
#include "base/progress.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

// Blocks fit L2 together with their product; they are fixed, so no result depends on threads.
constexpr std::int64_t kKeyBlock = 1024;
constexpr std::int64_t kQueryBlock = 256;

void normalise(std::span<float> row) {
  double square = 0;
  for (const float value : row) square += double{value} * value;
  const double scale = square > 0 ? 1 / std::sqrt(square) : 0;
  for (float& value : row) value = static_cast<float>(value * scale);
}

/// Normalised rows first … first + count − 1.
std::vector<float> normalised_rows(const RowSource& source, std::int64_t first,
                                   std::int64_t count) {
  std::vector<float> rows(static_cast<std::size_t>(count * source.cols));
  source.fill(first, rows);
  const auto cols = static_cast<std::size_t>(source.cols);
  for (std::size_t begin = 0; begin < rows.size(); begin += cols) {
    normalise({rows.data() + begin, cols});
  }
  return rows;
}

double exact_dot(const float* a, const float* b, std::int64_t size) {
  double sum = 0;
  for (std::int64_t i = 0; i < size; ++i) sum += double{a[i]} * b[i];
  return sum;
}

struct Candidate {
  float score;
  std::int64_t key;
  bool operator<(const Candidate& other) const {  // better first
    return score != other.score ? score > other.score : key < other.key;
  }
};

/// The best few candidates of one query: a heap whose front is the worst of them.
class CandidateHeap {
 public:
  explicit CandidateHeap(std::size_t capacity) : capacity_(capacity) { heap_.reserve(capacity); }

  void offer(float score, std::int64_t key) {
    if (heap_.size() == capacity_) {
      // Keys come in ascending order, so an equal score never displaces an earlier key.
      if (score <= heap_.front().score) return;
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.pop_back();
    }
    heap_.push_back({score, key});
    std::push_heap(heap_.begin(), heap_.end());
  }
  std::span<Candidate> candidates() { return heap_; }

 private:
  std::size_t capacity_;
  std::vector<Candidate> heap_;
};

}  // namespace

RowSource RowSource::of(const Matrix& matrix) {
  return {matrix.rows, matrix.cols, [&matrix](std::int64_t first, std::span<float> out) {
            const auto begin = matrix.values.begin() + first * matrix.cols;
            std::copy(begin, begin + static_cast<std::ptrdiff_t>(out.size()), out.begin());
          }};
}

std::vector<Neighbour> nearest_by_cosine(const RowSource& keys, const RowSource& queries,
                                         int neighbours, const std::string& title) {
  BARCODEMAE_CHECK(keys.cols == queries.cols, "keys have {} columns, queries {}", keys.cols,
                   queries.cols);
  BARCODEMAE_CHECK(neighbours > 0, "{} neighbours", neighbours);
  const std::int64_t cols = keys.cols;
  const auto wanted = static_cast<std::size_t>(neighbours);
  std::vector<Neighbour> result(static_cast<std::size_t>(queries.rows) * wanted);
  if (queries.rows == 0 || keys.rows == 0) return result;

  // All queries stay in memory; keys pass by once, block after block.
  const std::int64_t query_blocks = (queries.rows + kQueryBlock - 1) / kQueryBlock;
  std::vector<std::vector<float>> query_rows(static_cast<std::size_t>(query_blocks));
  parallel_for(query_blocks, [&](std::int64_t block, int) {
    const std::int64_t first = block * kQueryBlock;
    query_rows[static_cast<std::size_t>(block)] =
        normalised_rows(queries, first, std::min(kQueryBlock, queries.rows - first));
  });
  std::vector<CandidateHeap> heaps(static_cast<std::size_t>(queries.rows),
                                   CandidateHeap(wanted + kSpareCandidates));

  std::unique_ptr<Progress> progress;
  if (!title.empty()) progress = std::make_unique<Progress>(title, "keys", keys.rows);
  std::vector<std::vector<float>> scores(static_cast<std::size_t>(thread_count()));
  // Several key blocks at a time, so that threads share the work of preparing them too.
  constexpr std::int64_t kBlocksAtATime = 8;
  for (std::int64_t group = 0; group < keys.rows; group += kKeyBlock * kBlocksAtATime) {
    const std::int64_t group_rows = std::min(kKeyBlock * kBlocksAtATime, keys.rows - group);
    const std::int64_t blocks = (group_rows + kKeyBlock - 1) / kKeyBlock;
    std::vector<std::vector<float>> key_rows(static_cast<std::size_t>(blocks));
    parallel_for(blocks, [&](std::int64_t block, int) {
      const std::int64_t first = block * kKeyBlock;
      key_rows[static_cast<std::size_t>(block)] =
          normalised_rows(keys, group + first, std::min(kKeyBlock, group_rows - first));
    });
    parallel_for(query_blocks, [&](std::int64_t query_block, int thread) {
      const auto& block_queries = query_rows[static_cast<std::size_t>(query_block)];
      const std::int64_t query_count = static_cast<std::int64_t>(block_queries.size()) / cols;
      const OneOpenMpThread one_thread;
      auto& product = scores[static_cast<std::size_t>(thread)];
      product.resize(kQueryBlock * kKeyBlock);
      for (std::int64_t block = 0; block < blocks; ++block) {
        const auto& block_keys = key_rows[static_cast<std::size_t>(block)];
        const std::int64_t key_count = static_cast<std::int64_t>(block_keys.size()) / cols;
        sgemm('N', 'T', query_count, key_count, cols, block_queries.data(), cols, block_keys.data(),
              cols, product.data(), key_count);
        for (std::int64_t q = 0; q < query_count; ++q) {
          auto& heap = heaps[static_cast<std::size_t>(query_block * kQueryBlock + q)];
          const float* row = product.data() + q * key_count;
          for (std::int64_t k = 0; k < key_count; ++k) {
            heap.offer(row[k], group + block * kKeyBlock + k);
          }
        }
      }
    });
    if (progress) progress->update(group + group_rows);
  }

  parallel_for(query_blocks, [&](std::int64_t query_block, int) {
    std::vector<float> key_row(static_cast<std::size_t>(cols));
    const auto& block_queries = query_rows[static_cast<std::size_t>(query_block)];
    const std::int64_t query_count = static_cast<std::int64_t>(block_queries.size()) / cols;
    for (std::int64_t q = 0; q < query_count; ++q) {
      const auto query = static_cast<std::size_t>(query_block * kQueryBlock + q);
      const auto candidates = heaps[query].candidates();
      for (Candidate& candidate : candidates) {
        keys.fill(candidate.key, key_row);
        normalise(key_row);
        candidate.score =
            static_cast<float>(exact_dot(block_queries.data() + q * cols, key_row.data(), cols));
      }
      std::sort(candidates.begin(), candidates.end());
      for (std::size_t n = 0; n < std::min(wanted, candidates.size()); ++n) {
        result[query * wanted + n] = {candidates[n].key, candidates[n].score};
      }
    }
  });
  return result;
}

std::vector<double> column_means(const Matrix& matrix) {
  std::vector<double> means(static_cast<std::size_t>(matrix.cols), 0.0);
  for (std::int64_t r = 0; r < matrix.rows; ++r) {
    const auto row = matrix.row(r);
    for (std::size_t c = 0; c < means.size(); ++c) means[c] += row[c];
  }
  for (double& mean : means) mean /= static_cast<double>(std::max<std::int64_t>(1, matrix.rows));
  return means;
}

void subtract_mean(Matrix& matrix, std::span<const double> mean) {
  BARCODEMAE_CHECK(static_cast<std::int64_t>(mean.size()) == matrix.cols, "{} means, {} columns",
                   mean.size(), matrix.cols);
  for (std::int64_t r = 0; r < matrix.rows; ++r) {
    const auto row = matrix.row(r);
    for (std::size_t c = 0; c < mean.size(); ++c) {
      row[c] = static_cast<float>(double{row[c]} - mean[c]);
    }
  }
}

}  // namespace barcodemae
