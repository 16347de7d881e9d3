// SPDX-License-Identifier: MIT
#include "inference/embedder.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "backend/backends.h"
#include "base/error.h"
#include "base/index.h"
#include "base/progress.h"
#include "base/threads.h"
#include "data/anchor.h"
#include "data/batch.h"
#include "data/site_features.h"
#include "inference/readout_layers.h"
#include "ops/ops.h"

namespace barcodemae {
namespace {

constexpr std::int64_t kTokenisedTogether = 256;  // records, by one thread
// A forward pass on a GPU needs more rows to occupy it than one on a CPU.
constexpr std::int64_t kBatchTokens = 4096, kGpuBatchTokens = 65536;

std::int64_t length(const TokenSequence& sequence) {
  return static_cast<std::int64_t>(sequence.ids.size());
}

/// Sequences with tokens, the longest first: batches are even, and the first needs the most memory.
std::vector<std::int32_t> by_length(const std::vector<TokenSequence>& sequences) {
  std::vector<std::int32_t> order;
  for (std::size_t i = 0; i < sequences.size(); ++i)
    if (!sequences[i].ids.empty()) order.push_back(static_cast<std::int32_t>(i));
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return length(sequences[index(a)]) > length(sequences[index(b)]);
  });
  return order;
}

/// Consecutive runs of `order` of at most `budget` tokens, one sequence at least.
std::vector<std::span<const std::int32_t>> split_by_tokens(
    const std::vector<TokenSequence>& sequences, std::span<const std::int32_t> order,
    std::int64_t budget) {
  std::vector<std::span<const std::int32_t>> batches;
  std::size_t begin = 0;
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::int64_t more = length(sequences[index(order[i])]);
    if (i > begin && tokens + more > budget) {
      batches.push_back(order.subspan(begin, i - begin));
      begin = i;
      tokens = 0;
    }
    tokens += more;
  }
  if (begin < order.size()) batches.push_back(order.subspan(begin));
  return batches;
}

/// Rows of a batch that are pooled, of each sequence some.
struct PooledRows {
  std::vector<std::int32_t> rows, positions;
  std::vector<std::int32_t> begins{0};

  void append(std::span<const std::int32_t> tokens, const TokenSequence& sequence,
              std::int32_t first_row) {
    for (const std::int32_t token : tokens) {
      rows.push_back(first_row + token);
      positions.push_back(sequence.positions[index(token)]);
    }
    begins.push_back(static_cast<std::int32_t>(rows.size()));
  }
};

}  // namespace

void pool_as(const std::string& pooling, ModelDescription& description) {
  if (pooling == "model") return;
  const std::optional<Pooling> known = parse_pooling(pooling);
  if (!known) throw UserError("pooling '{}': expected one of {}", pooling, kPoolingNames);
  description.config.pooling = *known;
  description.readout = nullptr;
  validate(description.config);
  require_sites(description, "--pooling " + pooling);
}

struct Embedder::State {
  ModelDescription description;
  EmbedderOptions options;
  std::unique_ptr<Backend> own_backend;
  std::unique_ptr<Parameters> own_parameters;
  std::unique_ptr<Encoder> own_encoder;
  Backend* backend = nullptr;
  const Encoder* encoder = nullptr;
  std::unique_ptr<Arena> arena;
  std::unique_ptr<ReadoutLayers> readout;  // null: without

  /// With a backend and parameters of its own, not yet filled.
  static std::unique_ptr<State> make(ModelDescription description, const EmbedderOptions& options) {
    auto state = std::make_unique<State>();
    state->own_backend = make_backend(options.device);
    state->own_parameters = std::make_unique<Parameters>(*state->own_backend);
    state->own_encoder = std::make_unique<Encoder>(*state->own_parameters, description.config);
    state->own_parameters->allocate(/*training=*/false);
    state->use(std::move(description), options, *state->own_encoder, *state->own_backend);
    return state;
  }

  void use(ModelDescription what, const EmbedderOptions& how, const Encoder& which,
           Backend& where) {
    BARCODEMAE_CHECK(how.batch_tokens >= 0, "batches of {} tokens", how.batch_tokens);
    description = std::move(what);
    options = how;
    if (options.batch_tokens == 0) {
      options.batch_tokens = where.in_host_memory() ? kBatchTokens : kGpuBatchTokens;
    }
    pool_as(how.pooling, description);
    require_sites(description, "--anchor " + how.anchor);
    encoder = &which;
    backend = &where;
    arena = std::make_unique<Arena>(where);
    if (description.readout) {
      readout = std::make_unique<ReadoutLayers>(description.readout, where);
    }
  }

  void refresh() {
    backend->refresh_weights(*own_parameters, options.precision, /*backward=*/false);
  }

  /// The parts of the vectors, as Encoder::embed gives them; means over the rows of `pooled`, or as
  /// the model pools.
  std::vector<Tensor> run(const PackedBatch& batch, const PooledRows* pooled) {
    Context context{*backend, *arena, nullptr, backend->activation_type(options.precision)};
    const Segments segments = make_segments(context, batch.begins, batch.records, batch.positions);
    const View ids = context.upload(batch.ids);
    if (pooled == nullptr) {
      return encoder->embed(context, ids, segments, description.config.pooling.of_states(),
                            {batch.positions, description.coder.max_tokens()});
    }
    const Tensor hidden = (*encoder)(context, ids, segments);
    const Tensor rows = ops::gather_rows(context, hidden, context.upload(pooled->rows));
    context.discard(hidden);
    return {ops::mean_pool(
        context, rows, make_segments(context, pooled->begins, batch.records, pooled->positions))};
  }
};

Embedder::Embedder(std::unique_ptr<State> state) : state_(std::move(state)) {}
Embedder::Embedder(Embedder&&) noexcept = default;
Embedder::~Embedder() = default;

Embedder Embedder::load(const std::filesystem::path& directory, const EmbedderOptions& options) {
  ModelDescription description = read_model_description(directory);
  std::optional<MarkerProfile>& profile = description.coder.profile;
  profile = profile_to_read_by(options.anchor, profile);
  auto state = State::make(std::move(description), options);
  load_encoder(directory, *state->own_parameters);
  state->refresh();
  return Embedder(std::move(state));
}

Embedder Embedder::random(const ModelDescription& description, std::uint64_t seed,
                          const EmbedderOptions& options) {
  ModelDescription without_readout = description;
  without_readout.readout = nullptr;
  auto state = State::make(std::move(without_readout), options);
  state->description.config.pooling = state->description.config.pooling.of_states();
  state->own_parameters->initialise(seed);
  state->own_encoder->initialise(*state->own_parameters, seed);
  state->refresh();
  return Embedder(std::move(state));
}

Embedder Embedder::borrow(const ModelDescription& description, const Encoder& encoder,
                          Backend& backend, const EmbedderOptions& options) {
  auto state = std::make_unique<State>();
  state->use(description, options, encoder, backend);
  return Embedder(std::move(state));
}

int Embedder::width() const { return state_->description.embedding_width(); }
const ModelDescription& Embedder::description() const { return state_->description; }

Matrix Embedder::embed(const std::vector<TokenSequence>& sequences,
                       const std::function<void(std::int64_t done)>& progress) {
  return embed(sequences, {}, progress);
}

Matrix Embedder::embed(const std::vector<TokenSequence>& sequences,
                       const std::vector<std::vector<std::int32_t>>& pooled,
                       const std::function<void(std::int64_t done)>& progress) {
  Matrix result;
  result.rows = static_cast<std::int64_t>(sequences.size());
  result.cols = width();
  result.values.resize(index(result.rows * result.cols));

  const std::vector<std::int32_t> order = by_length(sequences);
  const auto batches = split_by_tokens(sequences, order, state_->options.batch_tokens);
  const auto run = [&](std::span<const std::int32_t> batch) {
    PackedBatch packed;
    PooledRows rows;
    for (const std::int32_t i : batch) {
      if (!pooled.empty()) {
        rows.append(pooled[index(i)], sequences[index(i)], packed.begins.back());
      }
      packed.append(sequences[index(i)], i);
    }
    return state_->run(packed, pooled.empty() ? nullptr : &rows);
  };

  // Every batch is run dry first, so that memory is taken (or refused) once and before any work.
  Arena& arena = *state_->arena;
  std::size_t needed = 0;
  for (const auto batch : batches) {
    arena.begin_measuring();
    run(batch);
    needed = std::max(needed, arena.end_measuring());
  }
  arena.reserve(needed);

  auto done = static_cast<std::int64_t>(sequences.size() - order.size());
  ReadoutLayers* const readout = state_->readout.get();
  Matrix waiting{0, state_->description.pooled_width(), {}};  // for the readout
  std::vector<std::int32_t> waiting_for;                      // the sequences that they are of
  std::vector<float> vectors;
  for (const auto batch : batches) {
    const auto count = static_cast<std::int64_t>(batch.size());
    const std::int64_t first = waiting.rows;
    if (readout != nullptr) {
      waiting.rows += count;
      waiting.values.resize(index(waiting.rows * waiting.cols));
      waiting_for.insert(waiting_for.end(), batch.begin(), batch.end());
    }
    std::ptrdiff_t column = 0;
    const auto pooled_row = [&](std::int64_t n) {
      return readout == nullptr ? result.row(batch[index(n)]) : waiting.row(first + n);
    };
    for (const Tensor& part : run(batch)) {
      vectors.resize(index(part.view.size()));
      state_->backend->download(vectors.data(), part.view);
      const std::int64_t width = part.view.size() / count;
      for (std::int64_t n = 0; n < count; ++n) {
        std::copy_n(vectors.data() + n * width, width, pooled_row(n).begin() + column);
      }
      column += width;
    }
    arena.rewind();
    const bool sites = state_->description.config.pooling.sites;
    parallel_for(sites ? count : 0, [&](std::int64_t n, int) {
      write_site_features(state_->description.coder, sequences[index(batch[index(n)])],
                          pooled_row(n).subspan(index(column)));
    });
    done += count;
    const bool last = done == result.rows;
    if (readout != nullptr && (last || waiting.rows >= readout->worthwhile_rows())) {
      const Matrix mapped = (*readout)(waiting);
      for (std::int64_t n = 0; n < mapped.rows; ++n) {
        std::ranges::copy(mapped.row(n), result.row(waiting_for[index(n)]).begin());
      }
      waiting.rows = 0;
      waiting_for.clear();
    }
    if (progress) progress(done);
  }
  return result;
}

Matrix Embedder::embed(const Dataset& data, std::span<const std::int64_t> records,
                       const std::string& progress_title, const InferenceMask& mask) {
  const SequenceCoder& coder = state_->description.coder;
  const auto count = static_cast<std::int64_t>(records.size());
  std::vector<TokenSequence> sequences(records.size());
  std::vector<std::vector<std::int32_t>> pooled;
  require_pooling(mask, state_->description.config.pooling);
  if (mask.kind == InferenceMask::Kind::kOnlyMasked) pooled.resize(records.size());
  parallel_for((count + kTokenisedTogether - 1) / kTokenisedTogether, [&](std::int64_t piece, int) {
    for (std::int64_t i = piece * kTokenisedTogether;
         i < std::min(count, (piece + 1) * kTokenisedTogether); ++i) {
      const std::int64_t record = records[index(i)];
      sequences[index(i)] = coder.profile && !data.anchored() ? coder.encode(data.sequence(record))
                                                              : data.tokens(record, coder);
      if (mask.kind == InferenceMask::Kind::kNone) continue;
      MaskedSequence hidden =
          masked(sequences[index(i)], coder.first_token(), mask, data.id(record));
      sequences[index(i)] = std::move(hidden.tokens);
      if (!pooled.empty()) pooled[index(i)] = std::move(hidden.pooled);
    }
  });
  if (progress_title.empty()) return embed(sequences, pooled, {});
  Progress progress(progress_title, "barcodes", count);
  Matrix result = embed(sequences, pooled, [&](std::int64_t done) { progress.update(done); });
  progress.finish();
  return result;
}

}  // namespace barcodemae
