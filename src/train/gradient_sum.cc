// SPDX-License-Identifier: MIT
#include "train/gradient_sum.h"

#include "base/error.h"

namespace barcodemae {

GradientSum::GradientSum(const Parameters& parameters, Communicator& communicator,
                         std::int64_t bucket_elements)
    : parameters_(parameters), communicator_(communicator) {
  const std::vector<Parameters::Entry>& entries = parameters.entries();
  bucket_.resize(entries.size());
  std::int64_t end = parameters.padded_count();
  for (std::size_t i = entries.size(); i-- > 0;) {
    if (buckets_.empty() || buckets_.back().end - buckets_.back().begin >= bucket_elements) {
      buckets_.push_back({end, end});
    }
    Bucket& bucket = buckets_.back();
    bucket.begin = end = entries[i].offset;
    if (!entries[i].options.frozen) ++bucket.parameters;
    bucket_[i] = buckets_.size() - 1;
  }
  begin();
}

void GradientSum::begin() {
  started_ = 0;
  for (Bucket& bucket : buckets_) bucket.missing = bucket.parameters;
}

void GradientSum::note_final(int parameter) {
  Bucket& bucket = buckets_[bucket_.at(static_cast<std::size_t>(parameter))];
  --bucket.missing;
  BARCODEMAE_CHECK(bucket.missing >= 0, "parameter {} became final twice", parameter);
  for (; started_ < buckets_.size() && buckets_[started_].missing == 0; ++started_) {
    start(buckets_[started_]);
  }
}

void GradientSum::finish() {
  if (!needed()) return;
  for (; started_ < buckets_.size(); ++started_) start(buckets_[started_]);
  communicator_.finish_sums();
}

void GradientSum::start(const Bucket& bucket) {
  const View gradients = parameters_.gradients();
  BARCODEMAE_CHECK(gradients.dtype == DType::kFloat32, "gradients in {}",
                   to_string(gradients.dtype));
  communicator_.start_sum(static_cast<float*>(gradients.data) + bucket.begin,
                          static_cast<std::size_t>(bucket.end - bucket.begin));
}

}  // namespace barcodemae
