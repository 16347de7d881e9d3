// SPDX-License-Identifier: MIT
#include "train/batch_source.h"

#include <algorithm>
#include <set>
#include <span>
#include <utility>

#include "base/error.h"
#include "data/sampling.h"
#include "data/site_frequencies.h"

namespace barcodemae {

TrainingStep make_step(const TrainingData& data, const PretrainOptions& options,
                       const MaskingRules& rules, std::span<const std::int64_t> records,
                       const FrameOffsets& offsets, std::uint32_t step) {
  const auto piece_size = static_cast<std::size_t>(options.micro_batch);
  const std::vector<AuxiliaryLoss>& losses = options.model.auxiliary;
  TrainingStep result;
  result.counts.auxiliary.assign(losses.size(), 0);
  for (std::size_t first = 0; first < records.size(); first += piece_size) {
    MicroBatch piece;
    const auto part = records.subspan(first, std::min(piece_size, records.size() - first));
    piece.batch = pack(data.dataset, data.coder, part, offsets);
    piece.plan = options.model.causal() ? plan_next_tokens(piece.batch, rules)
                                        : plan_masking(piece.batch, rules, options.seed, step);
    for (std::size_t i = 0; i < losses.size(); ++i) {
      piece.plan.labels.push_back(label_targets(data, losses[i], part, options.seed, step));
      result.counts.auxiliary[i] += piece.plan.labels.back().count;
    }
    result.counts.masked += static_cast<std::int64_t>(piece.plan.masked_rows.size());
    result.counts.visible += static_cast<std::int64_t>(piece.plan.visible_rows.size());
    result.site_loss += site_frequency_loss(data.site_log_frequencies, data.coder, piece.batch,
                                            piece.plan.masked_rows);
    result.pieces.push_back(std::move(piece));
  }
  return result;
}

void add_up_counts(TrainingStep& step, Communicator& communicator) {
  // Counts of tokens are far below what a double holds exactly.
  std::vector<double> sums{static_cast<double>(step.counts.masked),
                           static_cast<double>(step.counts.visible), step.site_loss};
  for (const std::int64_t count : step.counts.auxiliary) sums.push_back(static_cast<double>(count));
  communicator.sum(sums);
  step.counts.masked = static_cast<std::int64_t>(sums[0]);
  step.counts.visible = static_cast<std::int64_t>(sums[1]);
  step.site_loss = sums[2];
  for (std::size_t i = 0; i < step.counts.auxiliary.size(); ++i) {
    step.counts.auxiliary[i] = static_cast<std::int64_t>(sums[3 + i]);
  }
}

BatchSource::BatchSource(std::span<const std::int64_t> records, std::int64_t batch,
                         std::uint64_t seed, Communicator& communicator, Prepare prepare)
    : records_(records),
      batch_(batch),
      seed_(seed),
      communicator_(communicator),
      prepare_(std::move(prepare)),
      share_(share_of(batch, communicator)),
      steps_per_epoch_(steps_per_epoch(static_cast<std::int64_t>(records.size()), batch)) {}

BatchSource::BatchSource(const TrainingData& data, const PretrainOptions& options,
                         Communicator& communicator, std::int64_t total_steps)
    : BatchSource(
          data.records.training, options.batch, options.seed, communicator,
          [&data, &options, total_steps](std::int64_t step, std::span<const std::int64_t> records) {
            const auto number = static_cast<std::uint32_t>(step);
            TrainingStep result =
                make_step(data, options, options.masking_rules(step, total_steps), records,
                          FrameOffsets{true, options.seed, number}, number);
            const double warmup =
                options.auxiliary_warmup * static_cast<double>(steps_per_epoch(data, options));
            result.auxiliary_scale =
                warmup > 0 ? std::min(1.0, static_cast<double>(step + 1) / warmup) : 1.0;
            return result;
          }) {
  if (options.balanced_classes > 0) balanced_.emplace(data, options);
}

BatchSource::~BatchSource() {
  if (next_.valid()) next_.wait();
}

std::int64_t BatchSource::steps_per_epoch(std::int64_t records, std::int64_t batch) {
  if (records < batch) {
    throw UserError("--batch {} is more than the {} barcodes to train on\nGive a smaller --batch.",
                    batch, records);
  }
  return records / batch;
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

std::vector<std::int64_t> BatchSource::records_of(std::int64_t step) {
  if (step / steps_per_epoch_ != epoch_) {
    epoch_ = step / steps_per_epoch_;
    order_ = epoch_order(records_, seed_, static_cast<std::uint32_t>(epoch_));
  }
  const auto begin = order_.begin() + step % steps_per_epoch_ * batch_;
  std::vector<std::int64_t> records(begin, begin + batch_);
  if (balanced_) {
    // What was drawn already is not repeated among the others, as far as the batch goes.
    const std::vector<std::int64_t> drawn = balanced_->draw(static_cast<std::uint32_t>(step));
    const std::set<std::int64_t> taken(drawn.begin(), drawn.end());
    std::stable_partition(records.begin(), records.end(),
                          [&](std::int64_t record) { return taken.count(record) != 0; });
    std::copy(drawn.begin(), drawn.end(), records.begin());
  }
  return records;
}

TrainingStep BatchSource::prepare(std::int64_t step) {
  const std::vector<std::int64_t> records = records_of(step);
  return prepare_(step, std::span(records).subspan(static_cast<std::size_t>(share_.begin),
                                                   static_cast<std::size_t>(share_.size())));
}

}  // namespace barcodemae
