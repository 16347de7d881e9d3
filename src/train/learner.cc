// SPDX-License-Identifier: MIT
#include "train/learner.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"

namespace barcodemae {
namespace {

std::string bytes_text(std::size_t bytes) { return format_bytes(static_cast<double>(bytes)); }

/// Values, gradients and moments, before any of them is allocated.
MemoryPlan parameter_memory(const Parameters& parameters, DType activation) {
  MemoryPlan plan;
  for (const Parameters::Entry& entry : parameters.entries()) {
    const auto elements = static_cast<std::size_t>(entry.rows * entry.cols);
    plan.weights += elements * size_of(DType::kFloat32);
    // One copy each for the forward and the backward product.
    if (entry.matmul) plan.compute_copies += 2 * elements * size_of(activation);
  }
  plan.gradients = plan.weights;
  plan.moments = 2 * plan.weights;
  plan.checkpoint = plan.weights;
  return plan;
}

[[noreturn]] void refuse(const MemoryPlan& plan, std::size_t available, std::int64_t micro_batch) {
  const std::size_t fixed = plan.total() - plan.activations;
  std::string advice = "Use a smaller model or a machine with more memory.";
  if (plan.activations > 0 && fixed < available) {
    const auto fitting = static_cast<std::int64_t>(static_cast<double>(available - fixed) /
                                                   static_cast<double>(plan.activations) *
                                                   static_cast<double>(micro_batch) * 0.95);
    if (fitting >= 1) advice = fmt::format("Give --micro-batch {} or less.", fitting);
  }
  throw UserError(
      "this training needs {} of memory ({} of it for the activations of --micro-batch {}), but {} "
      "are free\n{}",
      bytes_text(plan.total()), bytes_text(plan.activations), micro_batch, bytes_text(available),
      advice);
}

}  // namespace

LearnerOptions learner_options(const PretrainOptions& options) {
  const std::pair<double, double> range = options.mask_ratio_range();
  return {.seed = options.seed,
          .micro_batch = options.micro_batch,
          .masked_weight = options.masked_weight,
          .masked = {range.first, range.second, 1 - options.random_share - options.keep_share,
                     options.predict_share},
          .beta2 = options.beta2,
          .epsilon = options.epsilon,
          .weight_decay = options.weight_decay,
          .clip = options.clip};
}

Learner::Learner(const PretrainOptions& options, Backend& backend, DType activation, int max_tokens,
                 Communicator& communicator)
    : Learner(
          learner_options(options),
          [&](Parameters& parameters) { return make_objective(parameters, options.model); },
          backend, activation, max_tokens, communicator) {}

Learner::Learner(const LearnerOptions& options, const MakeObjective& make, Backend& backend,
                 DType activation, int max_tokens, Communicator& communicator)
    : options_(options),
      backend_(backend),
      communicator_(communicator),
      activation_(activation),
      parameters_(backend),
      model_(make(parameters_)),
      gradient_sum_(parameters_, communicator),
      arena_(backend) {
  reserve_memory(max_tokens);
}

void Learner::reserve_memory(int max_tokens) {
  const std::size_t sharing = backend_.in_host_memory()
                                  ? static_cast<std::size_t>(communicator_.processes_on_machine())
                                  : 1;
  const std::size_t available = backend_.available_memory() / sharing;
  plan_ = parameter_memory(parameters_, activation_);
  if (!backend_.in_host_memory()) plan_.checkpoint = 0;  // that one is the host's
  plan_.compute_copies += model_->table_bytes();
  if (plan_.total() > available) refuse(plan_, available, options_.micro_batch);
  parameters_.allocate(/*training=*/true);
  plan_.activations =
      plan_training_memory(backend_, *model_, activation_, {options_.micro_batch, max_tokens},
                           options_.masked, {options_.masked_weight, 1});
  if (plan_.total() > available) refuse(plan_, available, options_.micro_batch);
  log_info(
      "Memory: {} = weights {}, gradients {}, moments {}, compute copies up to {}, {}activations "
      "{} (--micro-batch {}); {} free{}",
      bytes_text(plan_.total()), bytes_text(plan_.weights), bytes_text(plan_.gradients),
      bytes_text(plan_.moments), bytes_text(plan_.compute_copies),
      plan_.checkpoint > 0 ? fmt::format("a checkpoint's buffer {}, ", bytes_text(plan_.checkpoint))
                           : "",
      bytes_text(plan_.activations), options_.micro_batch, bytes_text(available),
      sharing > 1 ? fmt::format(" for each of the {} processes on this machine", sharing) : "");
  arena_.reserve(plan_.activations);
}

void Learner::initialise(const std::vector<float>& site_log_frequencies) {
  parameters_.initialise(options_.seed);
  model_->initialise(parameters_, options_.seed, site_log_frequencies);
  refresh();
}

void Learner::refresh() { backend_.refresh_weights(parameters_, activation_, /*backward=*/true); }

BatchLosses Learner::run_piece(const MicroBatch& piece, const GlobalCounts& counts,
                               const LossWeights& weights, Tape* tape, std::int64_t number,
                               bool last) {
  Context context{backend_, arena_, tape, activation_};
  context.seed = options_.seed;
  context.step = static_cast<std::uint32_t>(number);
  const auto forward = [&] { return (*model_)(context, piece.batch, piece.plan, counts, weights); };
  // The plan covers all batches but freak ones; a dry run costs microseconds and covers those too.
  arena_.begin_measuring();
  forward();
  if (tape != nullptr) tape->backward();
  arena_.reserve(arena_.end_measuring());

  const std::vector<LossTerm> terms = forward();
  if (last && gradient_sum_.needed()) {
    tape->when_final([this](int parameter) { gradient_sum_.note_final(parameter); });
  }
  if (tape != nullptr) tape->backward();
  BatchLosses losses;
  const std::size_t tokens = terms.size() - model_->auxiliary_terms(weights);
  for (std::size_t i = 0; i < terms.size(); ++i) {
    float values[2] = {0, 0};
    backend_.download(values, terms[i].loss.values);
    if (i >= tokens) {
      losses.auxiliary.push_back(values[0]);
      losses.auxiliary_hits.push_back(values[1]);
    } else if (i == 0) {
      losses.masked = values[0];
      losses.masked_hits = values[1];
    } else {
      losses.visible = values[0];
    }
  }
  arena_.rewind();
  return losses;
}

BatchLosses Learner::evaluate(const MicroBatch& piece, const GlobalCounts& counts) {
  return run_piece(piece, counts, {options_.masked_weight, 0}, nullptr, 0, /*last=*/false);
}

StepOutcome Learner::step(const TrainingStep& content, std::int64_t number,
                          const Schedule::Point& point, std::int64_t updates) {
  StepOutcome outcome;
  gradient_sum_.begin();
  const std::size_t auxiliary = model_->config().auxiliary.size();
  const LossWeights weights{options_.masked_weight, content.auxiliary_scale};
  std::vector<double> sums(3 + 2 * auxiliary, 0.0);
  for (const MicroBatch& piece : content.pieces) {
    Tape tape(arena_);
    const BatchLosses losses =
        run_piece(piece, content.counts, weights, &tape, number, &piece == &content.pieces.back());
    sums[0] += losses.masked;
    sums[1] += losses.visible;
    sums[2] += losses.masked_hits;
    for (std::size_t i = 0; i < losses.auxiliary.size(); ++i) {
      sums[3 + i] += losses.auxiliary[i];
      sums[3 + auxiliary + i] += losses.auxiliary_hits[i];
    }
  }
  gradient_sum_.finish();
  communicator_.sum(sums);
  outcome.losses = {sums[0], sums[1], sums[2]};
  const auto middle = sums.begin() + 3 + static_cast<std::ptrdiff_t>(auxiliary);
  outcome.losses.auxiliary.assign(sums.begin() + 3, middle);
  outcome.losses.auxiliary_hits.assign(middle, sums.end());
  outcome.gradient_norm = std::sqrt(backend_.squared_gradient_norm(parameters_));
  const double all_losses = std::accumulate(sums.begin(), sums.end(), 0.0);
  if (!std::isfinite(all_losses + outcome.gradient_norm)) {
    backend_.zero_gradients(parameters_);
    return outcome;
  }
  AdamWStep adamw;
  adamw.learning_rate = point.learning_rate;
  adamw.beta1 = point.beta1;
  adamw.beta2 = options_.beta2;
  adamw.epsilon = options_.epsilon;
  adamw.weight_decay = options_.weight_decay;
  const auto t = static_cast<double>(updates + 1);
  adamw.bias_correction1 = 1 - std::pow(point.beta1, t);  // of the current β₁, as PyTorch does it
  adamw.bias_correction2 = 1 - std::pow(options_.beta2, t);
  if (options_.clip > 0) {  // torch.nn.utils.clip_grad_norm_
    adamw.gradient_scale = std::min(1.0, options_.clip / (outcome.gradient_norm + 1e-6));
  }
  backend_.adamw(parameters_, adamw);
  outcome.applied = true;
  return outcome;
}

}  // namespace barcodemae
