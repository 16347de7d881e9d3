// SPDX-License-Identifier: MIT
#include "finetune/head.h"

#include <fmt/format.h>

#include <tuple>
#include <utility>

#include "base/log.h"
#include "base/machine.h"
#include "base/progress.h"
#include "evaluation/linear.h"
#include "nn/classifier.h"

namespace barcodemae {
namespace {

struct ProbeVectors {
  std::string name;
  Matrix train, val;
};

ProbeVectors embed(const EvaluationData& evaluation, const FinetuneSides& sides) {
  FrozenEncoder encoder = evaluation.trained();
  return {encoder.name(), encoder.embed(sides.train), encoder.embed(sides.val)};
}

void require_probe_memory(const FinetuneSides& sides, int width) {
  const std::int64_t records = sides.train.size() + sides.val.size();
  const double vectors = 4.0 * static_cast<double>(records) * width;
  // Weights, two moments, the best epoch's, and the better rate's.
  const double weights = 5 * 4.0 * static_cast<double>(sides.classes.size()) * (width + 1);
  require_memory(
      "A linear probe",
      fmt::format("{} = vectors of {} records {} + weights {}", format_bytes(vectors + weights),
                  format_count(records), format_bytes(vectors), format_bytes(weights)),
      vectors + weights, static_cast<double>(available_memory_bytes()),
      "Give --random-head, which needs none.");
}

}  // namespace

ClassifierHead probed_head(const EvaluationData& evaluation, const FinetuneSides& sides,
                           const FinetuneOptions& options, Communicator& communicator) {
  const int width = evaluation.description().config.encoder.width;
  require_probe_memory(sides, width);
  ClassifierHead head{options.rank, sides.classes, {}, {}};
  {
    const ProbeVectors vectors = embed(evaluation, sides);
    if (communicator.rank() == 0) {
      const std::vector<std::int32_t> train = sides.classes_of(sides.train.labels);
      const std::vector<std::int32_t> val = sides.classes_of(sides.val.labels);
      LinearOptions linear;
      linear.probe.seed = options.seed;
      const ChosenProbe chosen =
          choose_probe(vectors.name, linear.probe, linear.learning_rates,
                       {RowSource::of(vectors.train), train}, {RowSource::of(vectors.val), val});
      std::tie(head.weights, head.bias) = chosen.probe.unscaled();
    }
  }
  share_head(head, static_cast<std::int64_t>(sides.classes.size()), width, communicator);
  return head;
}

ClassifierHead head_of(const Parameters& parameters, const FinetuneSides& sides, Rank rank) {
  ClassifierHead head{rank, sides.classes, {}, parameters.download(Classifier::kBias)};
  head.weights.values = parameters.download(Classifier::kWeight);
  head.weights.rows = static_cast<std::int64_t>(sides.classes.size());
  head.weights.cols = static_cast<std::int64_t>(head.weights.values.size()) / head.weights.rows;
  return head;
}

void share_head(ClassifierHead& head, std::int64_t classes, std::int64_t width,
                Communicator& communicator) {
  head.weights.rows = classes;
  head.weights.cols = width;
  head.weights.values.resize(static_cast<std::size_t>(classes * width));
  head.bias.resize(static_cast<std::size_t>(classes));
  for (std::vector<float>* part : {&head.weights.values, &head.bias}) {
    communicator.broadcast(part->data(), part->size() * sizeof(float));
  }
}

}  // namespace barcodemae
