// SPDX-License-Identifier: MIT
#include "nn/auxiliary_losses.h"

#include <numeric>

#include "base/error.h"
#include "nn/dropout_sites.h"
#include "nn/encoder.h"
#include "nn/layers.h"

namespace barcodemae {

AuxiliaryLosses::AuxiliaryLosses(Parameters& parameters, const ModelConfig& config)
    : config_(config), parameters_(&parameters) {
  const int width = config.encoder.width;
  for (std::size_t i = 0; i < config.auxiliary.size(); ++i) {
    const AuxiliaryLoss& loss = config.auxiliary[i];
    std::vector<int>& head = heads_.emplace_back();
    const auto declare = [&](const char* name, int rows, int cols, bool matmul, bool bias) {
      head.push_back(parameters.declare({fmt::format("auxiliary.{}.{}", i, name)}, rows, cols,
                                        bias ? kZeros : kBertNormal, matmul));
    };
    if (loss.kind == AuxiliaryKind::kCrossEntropy) {
      declare("weight", loss.classes, width, true, false);
      declare("bias", 1, loss.classes, false, true);
    } else if (loss.kind == AuxiliaryKind::kPair) {
      declare("in_weight", kPairHiddenWidth, 2 * width, false, false);
      declare("in_bias", 1, kPairHiddenWidth, false, true);
      declare("out_weight", 1, kPairHiddenWidth, false, false);
      declare("out_bias", 1, 1, false, true);
    }
  }
}

std::vector<LossTerm> AuxiliaryLosses::score(Context& context, Tensor features,
                                             const std::vector<std::int32_t>& records,
                                             const std::vector<LabelTargets>& targets,
                                             const std::vector<std::int64_t>& counts,
                                             double scale) const {
  BARCODEMAE_CHECK(targets.size() == heads_.size() && counts.size() == heads_.size(),
                   "{} targets and {} counts of {} losses", targets.size(), counts.size(),
                   heads_.size());
  std::vector<LossTerm> terms;
  for (std::size_t i = 0; i < heads_.size(); ++i) {
    const AuxiliaryLoss& loss = config_.auxiliary[i];
    const LabelTargets& target = targets[i];
    const double weight = scale * loss.weight;
    const double mean = target.count == 0 ? 0.0 : 1.0 / static_cast<double>(counts[i]);
    LossTerm term{auxiliary_name(loss), weight, {}, target.count};
    if (loss.kind == AuxiliaryKind::kCrossEntropy) {
      term.loss = cross_entropy(context, i, features, records, target, mean, weight);
    } else if (loss.kind == AuxiliaryKind::kPair) {
      const auto parameter = [&](std::size_t j) { return parameters_->get(heads_[i][j]); };
      term.loss = ops::pair_loss(context, {parameter(0), parameter(1), parameter(2), parameter(3)},
                                 features, context.upload(target.pairs, 3), mean, weight);
    } else {
      const LabelLoss options{loss.kind == AuxiliaryKind::kTriplet ? LabelLoss::Kind::kTriplet
                                                                   : LabelLoss::Kind::kContrastive,
                              loss.temperature, loss.margin};
      term.loss = ops::label_loss(context, options, features, context.upload(target.labels),
                                  target.groups.empty() ? View{} : context.upload(target.groups),
                                  mean, weight);
    }
    terms.push_back(term);
  }
  return terms;
}

ops::Loss AuxiliaryLosses::cross_entropy(Context& context, std::size_t i, Tensor features,
                                         const std::vector<std::int32_t>& records,
                                         const LabelTargets& targets, double mean,
                                         double weight) const {
  // Each barcode's vector is a row of its own.
  std::vector<std::int32_t> begins(records.size() + 1), labelled, labels;
  std::iota(begins.begin(), begins.end(), 0);
  const Segments segments =
      make_segments(context, begins, records, std::vector<std::int32_t>(records.size(), 0));
  for (std::size_t n = 0; n < targets.labels.size(); ++n) {
    if (targets.labels[n] < 0) continue;
    labelled.push_back(static_cast<std::int32_t>(n));
    labels.push_back(targets.labels[n]);
  }
  const CrossEntropyHead head{parameters_->get(heads_[i][0]),
                              parameters_->get(heads_[i][1]),
                              {},
                              /*groups=*/1,
                              config_.auxiliary[i].classes};
  const auto site = dropout_sites::kAuxiliary + static_cast<std::uint32_t>(i);
  return ops::token_cross_entropy(
      context, head, ops::convert(context, features, context.activation), context.upload(labelled),
      context.upload(labels), mean, weight, segments, context.dropout(config_.dropout, site));
}

}  // namespace barcodemae
