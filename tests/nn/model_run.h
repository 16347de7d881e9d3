// SPDX-License-Identifier: MIT
// A model on a backend with all that it needs to run once.
#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "nn/masked_autoencoder.h"

namespace barcodemae {

struct ModelRun {
  using Make = std::function<std::unique_ptr<Objective>(Parameters&)>;
  ModelRun(std::unique_ptr<Backend> device, const ModelConfig& config, DType activation)
      : ModelRun(std::move(device), activation,
                 [&](Parameters& declared) { return make_objective(declared, config); }) {}
  ModelRun(std::unique_ptr<Backend> device, DType activation, const Make& make)
      : backend(std::move(device)),
        parameters(*backend, activation == DType::kFloat64 ? DType::kFloat64 : DType::kFloat32),
        objective(make(parameters)),
        model(*objective),
        arena(*backend),
        tape(arena),
        context{*backend, arena, &tape, activation} {
    parameters.allocate(/*training=*/true);
  }

  /// Calls work() dry, reserves what it took, and calls it in earnest.
  template <typename Work>
  auto run(const Work& work) {
    backend->refresh_weights(parameters, context.activation, /*backward=*/true);
    arena.begin_measuring();
    work();
    tape.clear();
    arena.reserve(arena.end_measuring());
    return work();
  }

  /// Forward and backward; the loss terms' {mean, hits}.
  std::vector<std::vector<float>> train(const PackedBatch& batch, const MaskingPlan& plan,
                                        const GlobalCounts& counts, double masked_weight,
                                        double auxiliary = 0) {
    const auto terms = run([&] {
      auto losses = model(context, batch, plan, counts, {masked_weight, auxiliary});
      tape.backward();
      return losses;
    });
    std::vector<std::vector<float>> values;
    for (const LossTerm& term : terms) values.push_back(download(term.loss.values));
    arena.rewind();
    return values;
  }

  /// The model, where it has a decoder.
  const MaskedAutoencoder& autoencoder() const {
    return dynamic_cast<const MaskedAutoencoder&>(model);
  }

  /// Any type of number as float32.
  std::vector<float> download(View view) const {
    const auto count = static_cast<std::size_t>(view.size());
    std::vector<float> values(count);
    if (view.dtype == DType::kFloat32) {
      backend->download(values.data(), view);
    } else if (view.dtype == DType::kFloat64) {
      std::vector<double> wide(count);
      backend->download(wide.data(), view);
      values.assign(wide.begin(), wide.end());
    } else {
      std::vector<std::uint16_t> halves(count);  // bfloat16: the upper half of a float32
      backend->download(halves.data(), view);
      for (std::size_t i = 0; i < count; ++i) {
        values[i] = std::bit_cast<float>(static_cast<std::uint32_t>(halves[i]) << 16);
      }
    }
    return values;
  }

  std::unique_ptr<Backend> backend;
  Parameters parameters;
  std::unique_ptr<Objective> objective;
  const Objective& model;
  Arena arena;
  Tape tape;
  Context context;
};

}  // namespace barcodemae
