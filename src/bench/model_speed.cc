// SPDX-License-Identifier: MIT
#include "bench/model_speed.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "backend/backends.h"
#include "base/error.h"
#include "base/log.h"
#include "base/median.h"
#include "base/random.h"
#include "communication/single_process.h"
#include "nn/flops.h"
#include "nn/memory_plan.h"
#include "nn/presets.h"
#include "train/learner.h"

namespace barcodemae {
namespace {

constexpr std::uint64_t kSeed = 1;

PackedBatch random_batch(const ModelConfig& config, std::int64_t sequences, std::int64_t tokens) {
  RandomSequence random(kSeed, Stream::kSimulate);
  PackedBatch batch;
  for (std::int32_t record = 0; record < sequences; ++record) {
    TokenSequence sequence;
    for (std::int32_t position = 0; position < tokens; ++position) {
      sequence.ids.push_back(
          config.first_kmer() +
          static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(config.kmers()))));
      sequence.positions.push_back(position);
    }
    batch.append(sequence, record);
  }
  return batch;
}

// Seconds of body(): median of the repeats, after one that warms up.
double median_seconds(const SpeedRequest& request, const std::function<void()>& body) {
  using Clock = std::chrono::steady_clock;
  body();
  std::vector<double> times;
  const auto start = Clock::now();
  while (static_cast<int>(times.size()) < request.repeats ||
         std::chrono::duration<double>(Clock::now() - start).count() < request.seconds) {
    const auto begin = Clock::now();
    body();
    times.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return median(times);
}

/// Of a device's own memory, what was taken since this object was made.
class TakenMemory {
 public:
  explicit TakenMemory(const Backend& backend)
      : backend_(backend), before_(backend.in_host_memory() ? 0 : backend.available_memory()) {}
  std::size_t bytes() const {
    if (backend_.in_host_memory()) return 0;
    return before_ - std::min(before_, backend_.available_memory());
  }

 private:
  const Backend& backend_;
  std::size_t before_;
};

Speed measure_training(const SpeedRequest& request) {
  PretrainOptions options;
  options.model = model_of(request);
  options.batch = request.batch;
  options.micro_batch = request.micro_batch > 0 ? request.micro_batch : request.batch;
  options.seed = kSeed;
  const auto backend = make_backend(request.device);
  const TakenMemory taken(*backend);
  SingleProcess alone;
  Learner learner(options, *backend, request.precision, static_cast<int>(request.tokens), alone);
  learner.initialise({});

  TrainingStep content;
  double flops = 0;
  MaskingRules rules = options.masking_rules();
  rules.scheme = MaskingScheme::kExactCount;
  for (std::int64_t done = 0; done < request.batch; done += options.micro_batch) {
    MicroBatch piece;
    piece.batch = random_batch(options.model, std::min(options.micro_batch, request.batch - done),
                               request.tokens);
    piece.plan = plan_masking(piece.batch, rules, kSeed, 0);
    content.counts.masked += static_cast<std::int64_t>(piece.plan.masked_rows.size());
    content.counts.visible += static_cast<std::int64_t>(piece.plan.visible_rows.size());
    flops += training_flops(options.model,
                            training_tokens(options.model, piece.batch, piece.plan, false));
    content.pieces.push_back(std::move(piece));
  }

  const Schedule::Point point{.learning_rate = 1e-4, .beta1 = 0.9};
  std::int64_t step = 0;
  const double seconds = median_seconds(request, [&] {
    learner.step(content, step, point, step);
    ++step;
  });
  return {static_cast<double>(request.batch) / seconds, 1e-9 * flops / seconds, taken.bytes()};
}

Speed measure_embedding(const SpeedRequest& request) {
  const ModelConfig config = model_of(request);
  const auto backend = make_backend(request.device);
  const TakenMemory taken(*backend);
  Parameters parameters(*backend);
  const Encoder encoder(parameters, config);
  parameters.allocate(/*training=*/false);
  parameters.initialise(kSeed);
  backend->refresh_weights(parameters, request.precision, /*backward=*/false);
  const DType activation = backend->activation_type(request.precision);
  Arena arena(*backend);
  arena.reserve(plan_embedding_memory(*backend, encoder, activation,
                                      {.sequences = request.batch, .tokens = request.tokens}));
  const PackedBatch batch = random_batch(config, request.batch, request.tokens);
  std::vector<float> vectors(static_cast<std::size_t>(request.batch * config.encoder.width));
  const double seconds = median_seconds(request, [&] {
    Context context{*backend, arena, nullptr, activation};
    const Segments segments = make_segments(context, batch.begins, batch.records, batch.positions);
    const Tensor pooled = encoder.embed(context, context.upload(batch.ids), segments).front();
    backend->download(vectors.data(), pooled.view);
    arena.rewind();
  });
  return {static_cast<double>(request.batch) / seconds,
          1e-9 * embedding_flops(config, batch.tokens()) / seconds, taken.bytes()};
}

}  // namespace

ModelConfig model_of(const SpeedRequest& request) {
  ModelConfig config = preset(request.preset);
  if (request.width > 0) {
    for (TransformerConfig* stack : {&config.encoder, &config.decoder}) {
      stack->width = request.width;
      stack->feed_forward = 4 * request.width;
    }
  }
  validate(config);
  if (request.tokens > config.max_positions) {
    throw UserError("--tokens {}: models of preset {} have {} positions\nUse fewer tokens.",
                    request.tokens, request.preset, config.max_positions);
  }
  return config;
}

Speed measure_speed(const SpeedRequest& request) {
  return request.task == BenchTask::kTrain ? measure_training(request) : measure_embedding(request);
}

}  // namespace barcodemae
