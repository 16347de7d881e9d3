// SPDX-License-Identifier: MIT
#include "nn/kmer_head.h"

#include "base/error.h"
#include "nn/dropout_sites.h"
#include "nn/layers.h"

namespace barcodemae {
namespace {

constexpr const char* kSiteBias = "head.site_bias";

}  // namespace

KmerHead::KmerHead(Parameters& parameters, const ModelConfig& config)
    : config_(config), parameters_(&parameters) {
  const int logits = config.head == HeadKind::kKmer ? config.kmers() : 4 * config.k;
  weight_ = parameters.declare({"head.weight"}, logits, config.head_width(), kBertNormal,
                               /*matmul=*/true);
  bias_ = parameters.declare({"head.bias"}, 1, logits, kZeros);
  if (config.head == HeadKind::kBase) {
    site_ = parameters.declare({kSiteBias}, config.max_positions, logits, kZeros);
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
  if (config_.head == HeadKind::kKmer) {
    return {p.get(weight_), p.get(bias_), {}, /*groups=*/1, config_.kmers()};
  }
  return {p.get(weight_), p.get(bias_), p.get(site_), /*groups=*/config_.k, 4};
}

std::vector<std::int32_t> KmerHead::targets(const std::vector<std::int32_t>& ids) const {
  std::vector<std::int32_t> targets;
  for (const std::int32_t id : ids) {
    const int kmer = id - config_.first_kmer();
    BARCODEMAE_CHECK(kmer >= 0 && kmer < config_.kmers(), "token {} is no k-mer", id);
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
