// SPDX-License-Identifier: MIT
#include "train/batch_source.h"

#include <algorithm>
#include <span>

#include "base/error.h"
#include "data/sampling.h"
#include "data/site_frequencies.h"

namespace barcodemae {

TrainingStep make_step(const TrainingData& data, const PretrainOptions& options,
                       std::span<const std::int64_t> records, const FrameOffsets& offsets,
                       std::uint32_t step) {
  const MaskingRules rules = options.masking_rules();
  const auto piece_size = static_cast<std::size_t>(options.micro_batch);
  TrainingStep result;
  for (std::size_t first = 0; first < records.size(); first += piece_size) {
    MicroBatch piece;
    piece.batch =
        pack(data.dataset, data.coder,
             records.subspan(first, std::min(piece_size, records.size() - first)), offsets);
    piece.plan = options.model.causal() ? plan_next_tokens(piece.batch, rules)
                                        : plan_masking(piece.batch, rules, options.seed, step);
    result.counts.masked += static_cast<std::int64_t>(piece.plan.masked_rows.size());
    result.counts.visible += static_cast<std::int64_t>(piece.plan.visible_rows.size());
    result.site_loss +=
        data.coder.bpe
            ? token_frequency_loss(data.site_log_frequencies, data.coder.first_token(), piece.batch,
                                   piece.plan.masked_rows)
            : site_frequency_loss(data.site_log_frequencies, data.coder.tokenizer.vocabulary(),
                                  piece.batch, piece.plan.masked_rows);
    result.pieces.push_back(std::move(piece));
  }
  return result;
}

void add_up_counts(TrainingStep& step, Communicator& communicator) {
  // Counts of tokens are far below what a double holds exactly.
  double sums[] = {static_cast<double>(step.counts.masked),
                   static_cast<double>(step.counts.visible), step.site_loss};
  communicator.sum(sums);
  step.counts = {static_cast<std::int64_t>(sums[0]), static_cast<std::int64_t>(sums[1])};
  step.site_loss = sums[2];
}

BatchSource::BatchSource(const TrainingData& data, const PretrainOptions& options,
                         Communicator& communicator)
    : data_(data),
      options_(options),
      communicator_(communicator),
      share_(share_of(options.batch, communicator)),
      steps_per_epoch_(steps_per_epoch(data, options)) {}

BatchSource::~BatchSource() {
  if (next_.valid()) next_.wait();
}

std::int64_t BatchSource::steps_per_epoch(const TrainingData& data,
                                          const PretrainOptions& options) {
  const auto records = static_cast<std::int64_t>(data.records.training.size());
  if (records < options.batch) {
    throw UserError("--batch {} is more than the {} barcodes to train on\nGive a smaller --batch.",
                    options.batch, records);
  }
  return records / options.batch;
}

TrainingStep BatchSource::take(std::int64_t step, bool last) {
  TrainingStep result;
  if (next_.valid()) result = next_.get();
  if (next_step_ != step) result = prepare(step);
  next_step_ = -1;
  if (!last) {
    next_step_ = step + 1;
    next_ = std::async(std::launch::async, [this] { return prepare(next_step_); });
  }
  add_up_counts(result, communicator_);
  return result;
}

TrainingStep BatchSource::prepare(std::int64_t step) {
  if (step / steps_per_epoch_ != epoch_) {
    epoch_ = step / steps_per_epoch_;
    order_ = epoch_order(data_.records.training, options_.seed, static_cast<std::uint32_t>(epoch_));
  }
  const std::int64_t batch = step % steps_per_epoch_ * options_.batch;
  const auto number = static_cast<std::uint32_t>(step);
  const FrameOffsets offsets{true, options_.seed, number};
  return make_step(data_, options_,
                   std::span(order_).subspan(static_cast<std::size_t>(batch + share_.begin),
                                             static_cast<std::size_t>(share_.size())),
                   offsets, number);
}

}  // namespace barcodemae
