// SPDX-License-Identifier: MIT
#include "nn/kmer_head.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/threads.h"
#include "nn/dropout_sites.h"
#include "nn/layers.h"

namespace barcodemae {
namespace {

constexpr const char* kSiteBias = "head.site_bias";

/// Insertions, deletions and replacements from one k-mer to another.
int edit_distance(const ModelConfig& config, int a, int b) {
  std::vector<int> row(static_cast<std::size_t>(config.k) + 1);
  std::iota(row.begin(), row.end(), 0);
  for (int i = 0; i < config.k; ++i) {
    int diagonal = row[0]++;
    for (int j = 0; j < config.k; ++j) {
      int& here = row[static_cast<std::size_t>(j) + 1];
      const bool same = config.base_of_kmer(a, i) == config.base_of_kmer(b, j);
      const int replaced = diagonal + (same ? 0 : 1);
      diagonal = here;
      here = std::min({replaced, here + 1, row[static_cast<std::size_t>(j)] + 1});
    }
  }
  return row.back();
}

int differing_bases(int a, int b) {
  const auto different = static_cast<unsigned>(a ^ b);
  return std::popcount((different | different >> 1) & 0x55555555U);
}

/// Row t: softmax(−β · distance to t) over the classes of a softmax, k-mers or bases.
std::vector<float> soft_targets(const ModelConfig& config, int classes) {
  const auto size = static_cast<std::size_t>(classes);
  std::vector<float> table(size * size);
  parallel_for(classes, [&](std::int64_t target, int) {
    std::vector<double> shares;
    for (int c = 0; c < classes; ++c) {
      const auto t = static_cast<int>(target);
      const int distance = config.soft_targets == SoftTargets::kLevenshtein
                               ? edit_distance(config, t, c)
                               : differing_bases(t, c);
      shares.push_back(std::exp(-config.soft_sharpness * distance));
    }
    const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
    for (std::size_t c = 0; c < size; ++c) {
      table[static_cast<std::size_t>(target) * size + c] = static_cast<float>(shares[c] / sum);
    }
  });
  return table;
}

}  // namespace

/// [classes, classes] on the device.
class KmerHead::Table {
 public:
  Table(Backend& backend, DType dtype, const std::vector<float>& values, int classes)
      : backend_(backend), view_{nullptr, classes, classes, dtype} {
    view_.data = backend.allocate(view_.bytes());
    if (dtype == DType::kFloat64) {
      const std::vector<double> wide(values.begin(), values.end());
      backend.upload(view_, wide.data());
    } else {
      backend.upload(view_, values.data());
    }
  }
  ~Table() { backend_.release(view_.data, view_.bytes()); }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  const View& view() const { return view_; }

 private:
  Backend& backend_;
  View view_;
};

KmerHead::~KmerHead() = default;

std::size_t KmerHead::table_bytes() const { return soft_ ? soft_->view().bytes() : 0; }

KmerHead::KmerHead(Parameters& parameters, const ModelConfig& config)
    : config_(config), parameters_(&parameters) {
  const int logits = config.head == HeadKind::kKmer ? config.predicted_kmers() : 4 * config.k;
  weight_ = parameters.declare({"head.weight"}, logits, config.head_width(), kBertNormal,
                               /*matmul=*/true);
  bias_ = parameters.declare({"head.bias"}, 1, logits, kZeros);
  if (config.head == HeadKind::kBase) {
    site_ = parameters.declare({kSiteBias}, config.max_positions, logits, kZeros);
  }
  if (config.soft_targets != SoftTargets::kNone) {
    const int classes = config.head == HeadKind::kKmer ? config.kmers() : 4;
    soft_ = std::make_unique<Table>(parameters.backend(), parameters.dtype(),
                                    soft_targets(config, classes), classes);
  }
}

void KmerHead::initialise(Parameters& parameters,
                          const std::vector<float>& site_log_frequencies) const {
  if (config_.head == HeadKind::kBase && !site_log_frequencies.empty()) {
    parameters.upload(kSiteBias, site_log_frequencies);
  }
}

LossTerm KmerHead::score(Context& context, const std::string& name, double weight, Tensor x,
                         const std::vector<std::int32_t>& rows,
                         const std::vector<std::int32_t>& ids, std::int64_t global_count,
                         const Segments& segments) const {
  const auto count = static_cast<std::int64_t>(rows.size());
  BARCODEMAE_CHECK(ids.size() == rows.size() && count <= global_count, "{} {} rows, {} ids of {}",
                   count, name, ids.size(), global_count);
  const CrossEntropyHead head = this->head();
  const double mean = count == 0 ? 0.0 : 1.0 / static_cast<double>(global_count);
  const ops::Loss loss = ops::token_cross_entropy(
      context, head, x, context.upload(rows), context.upload(targets(ids), head.groups), mean,
      weight, segments, context.dropout(config_.dropout, dropout_sites::kHead));
  return {name, weight, loss, count};
}

CrossEntropyHead KmerHead::head() const {
  const Parameters& p = *parameters_;
  const View soft = soft_ ? soft_->view() : View{};
  if (config_.head == HeadKind::kKmer) {
    return {p.get(weight_), p.get(bias_), {}, /*groups=*/1, config_.predicted_kmers(), soft};
  }
  return {p.get(weight_), p.get(bias_), p.get(site_), /*groups=*/config_.k, 4, soft};
}

std::vector<std::int32_t> KmerHead::targets(const std::vector<std::int32_t>& ids) const {
  std::vector<std::int32_t> targets;
  for (const std::int32_t id : ids) {
    const int kmer = id - config_.first_kmer();
    BARCODEMAE_CHECK(kmer >= 0 && kmer < config_.predicted_kmers(), "token {} is no k-mer", id);
    if (config_.head == HeadKind::kKmer) {
      targets.push_back(kmer);
    } else {
      for (int place = 0; place < config_.k; ++place) {
        targets.push_back(config_.base_of_kmer(kmer, place));
      }
    }
  }
  return targets;
}

}  // namespace barcodemae
