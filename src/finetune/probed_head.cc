// SPDX-License-Identifier: MIT
#include "finetune/probed_head.h"

#include <utility>

#include "evaluation/linear.h"

namespace barcodemae {

ClassifierHead probed_head(const EvaluationData& evaluation, const FinetuneSides& sides,
                           const FinetuneOptions& options, Communicator& communicator) {
  FrozenEncoder encoder = evaluation.trained();
  const Matrix train = encoder.embed(sides.train);
  const Matrix val = encoder.embed(sides.val);
  ClassifierHead head;
  head.rank = options.rank;
  head.classes = sides.classes;
  head.weights.rows = static_cast<std::int64_t>(sides.classes.size());
  head.weights.cols = train.cols;
  if (communicator.rank() == 0) {
    const std::vector<std::int32_t> train_classes = sides.classes_of(sides.train.labels);
    const std::vector<std::int32_t> val_classes = sides.classes_of(sides.val.labels);
    LinearOptions linear;
    linear.probe.seed = options.seed;
    LinearProbe::Unscaled probe =
        choose_probe(encoder.name(), linear.probe, linear.learning_rates,
                     {RowSource::of(train), train_classes}, {RowSource::of(val), val_classes})
            .probe.unscaled();
    head.weights = std::move(probe.weights);
    head.bias = std::move(probe.bias);
  }
  head.weights.values.resize(static_cast<std::size_t>(head.weights.rows * head.weights.cols));
  head.bias.resize(sides.classes.size());
  for (std::vector<float>* part : {&head.weights.values, &head.bias}) {
    communicator.broadcast(part->data(), part->size() * sizeof(float));
  }
  return head;
}

}  // namespace barcodemae
