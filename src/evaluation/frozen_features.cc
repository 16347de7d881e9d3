// SPDX-License-Identifier: MIT
#include "evaluation/frozen_features.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "barcodemae_version.h"
#include "base/error.h"
#include "base/fingerprint.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/progress.h"
#include "communication/collectives.h"
#include "data/anchor.h"
#include "data/splits.h"

namespace barcodemae {

Matrix FrozenEncoder::embed(const LabelledRecords& records, const InferenceMask& mask) {
  return embed(fmt::format("splits {} rank {}", records.splits, to_string(records.rank)),
               records.records, mask);
}

Embedder& FrozenEncoder::embedder() {
  if (!embedder_) embedder_.emplace(load_());
  return *embedder_;
}

Matrix FrozenEncoder::embed(const std::string& selection, std::span<const std::int64_t> records,
                            const InferenceMask& mask) {
  std::string identity = fmt::format("{} {}", identity_, selection);
  std::string what = fmt::format("embedding {}: {}", selection, name_);
  if (mask.kind != InferenceMask::Kind::kNone) {
    identity += fmt::format(" mask {} seed {}", mask.name(), mask.seed);
    what += ", " + mask.name();
  }
  return cache_->get(identity, *communicator_, [&] {
    const Matrix own = embedder().embed(*data_, share_of(records, *communicator_), what, mask);
    return Matrix{static_cast<std::int64_t>(records.size()), own.cols,
                  concatenate(*communicator_, std::span<const float>(own.values))};
  });
}

EvaluationData::EvaluationData(const std::filesystem::path& model,
                               const std::filesystem::path& data, const FeatureOptions& options,
                               Communicator& communicator)
    : EvaluationData(model, read_model_description(model), data, options, communicator) {}

EvaluationData::EvaluationData(const std::filesystem::path& data, const FeatureOptions& options,
                               Communicator& communicator)
    : EvaluationData({}, ModelDescription{}, data, options, communicator) {}

EvaluationData::EvaluationData(std::filesystem::path model, ModelDescription description,
                               const std::filesystem::path& data, const FeatureOptions& options,
                               Communicator& communicator)
    : model_(std::move(model)),
      file_(data),
      options_(options),
      communicator_(communicator),
      description_(std::move(description)),
      cache_(options.cache) {
  if (!model_.empty()) {
    // What the model does anyway has one name in tables and caches.
    const std::optional<Pooling> asked = parse_pooling(options.pooling);
    if (asked == description_.config.pooling && !description_.readout) options_.pooling = "model";
    pool_as(options_.pooling, description_);
  }
  std::optional<MarkerProfile>& profile = description_.coder.profile;
  profile = profile_to_read_by(options.anchor, profile);
  data_ = Dataset::load(data, {.reader = {options.marker_code}});
  if (const std::string summary = data_.report().summary(data.string()); !summary.empty()) {
    log_message(summary);
  }
  anchor_by_model(profile, data_);
  data_name_ = data_.fingerprint();
  require_same(communicator, "the data they read (by fingerprint)", data_name_,
               "All of them must see the same file.");
  Fingerprint coder;
  coder.add(BARCODEMAE_VERSION);
  if (profile) coder.add(profile->to_json());
  reading_ = coder.hex();
}

std::vector<std::string> EvaluationData::splits(const std::string& text,
                                                std::string_view option) const {
  if (!data_.has_splits()) {
    throw UserError(
        "{}: no split column, and {} asks for {}\nA file with a column `split` is expected: "
        "barcodemae prepare makes one.{}",
        file_.string(), option, text,
        option == "--splits" ? " --splits all takes every record." : "");
  }
  std::vector<std::string> names = parse_splits(text, option);
  const std::vector<std::string>& known = data_.split_names();
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    throw UserError("{} {}: no record of this split\nSplits of the file: {}", option, name,
                    listed_splits(known));
  }
  return names;
}

LabelledRecords EvaluationData::labelled(const std::vector<std::string>& splits, Rank rank,
                                         std::string_view option) const {
  LabelledRecords found;
  found.splits = splits.empty() ? "all" : fmt::format("{}", fmt::join(splits, "+"));
  found.rank = rank;
  for (std::int64_t record = 0; record < data_.size(); ++record) {
    if (!splits.empty() &&
        std::find(splits.begin(), splits.end(), data_.split(record)) == splits.end()) {
      continue;
    }
    const std::int32_t label = data_.label(record, rank);
    if (label < 0) {
      ++found.unlabelled;
    } else if (data_.tokens(record, description_.coder).ids.empty()) {
      ++found.without_token;
    } else {
      found.records.push_back(record);
      found.labels.push_back(label);
    }
  }
  if (found.records.empty() && found.without_token > 0) {
    throw UserError(
        "no record of split {} with a {} label has a whole k-mer\nName another split with {}.",
        found.splits, to_string(rank), option);
  }
  if (found.records.empty()) {
    throw UserError(
        "no record of split {} has a {} label\nName a split of the file with {}, and a rank it "
        "has labels for.",
        found.splits, to_string(rank), option);
  }
  if (found.unlabelled > 0) {
    log_info("{}: {} records without a {} label are left out", found.splits,
             format_count(found.unlabelled), to_string(rank));
  }
  if (found.without_token > 0) {
    log_warn("{}: {} records without a whole k-mer are left out", found.splits,
             format_count(found.without_token));
  }
  return found;
}

bool EvaluationData::has_labels(const std::vector<std::string>& splits, Rank rank) const {
  for (std::int64_t record = 0; record < data_.size(); ++record) {
    if (data_.label(record, rank) >= 0 &&
        std::find(splits.begin(), splits.end(), data_.split(record)) != splits.end()) {
      return true;
    }
  }
  return false;
}

std::vector<std::int64_t> EvaluationData::with_tokens(
    const std::vector<std::string>& splits) const {
  std::vector<std::int64_t> found;
  for (std::int64_t record = 0; record < data_.size(); ++record) {
    if (std::find(splits.begin(), splits.end(), data_.split(record)) != splits.end() &&
        !data_.tokens(record, description_.coder).ids.empty()) {
      found.push_back(record);
    }
  }
  return found;
}

std::string weights_identity(const std::filesystem::path& model,
                             std::optional<std::uint64_t> seed) {
  if (!seed) return model_fingerprint(model);
  return fmt::format("random {} {} {}", *seed, fingerprint_file(model / "config.json"),
                     fingerprint_file(model / "tokenizer.json"));
}

FrozenEncoder EvaluationData::encoder(std::string name, const std::string& weights,
                                      DType precision) const {
  BARCODEMAE_CHECK(!model_.empty(), "an encoder of no model");
  FrozenEncoder made;
  made.name_ = std::move(name);
  made.identity_ = fmt::format("model {} data {} precision {} device {} reading {}", weights,
                               data_name_, to_string(precision), options_.device, reading_);
  if (options_.pooling != "model") made.identity_ += " pooling " + options_.pooling;
  // Another instruction set rounds otherwise.
  if (options_.device == "cpu")
    made.identity_ += fmt::format(" simd {}", to_string(machine().simd));
  made.data_ = &data_;
  made.cache_ = &cache_;
  made.communicator_ = &communicator_;
  return made;
}

FrozenEncoder EvaluationData::trained(DType precision) const {
  std::string name = model_name(model_);
  // What a precision costs is seen beside the same model in float32.
  if (precision != options_.precision) name += fmt::format(", {}", to_string(precision));
  if (options_.pooling != "model") name += ", " + options_.pooling;
  FrozenEncoder made = encoder(std::move(name), weights_identity(model_, std::nullopt), precision);
  const EmbedderOptions embedder{.precision = precision,
                                 .device = options_.device,
                                 .anchor = options_.anchor,
                                 .pooling = options_.pooling};
  made.load_ = [this, embedder] { return Embedder::load(model_, embedder); };
  return made;
}

FrozenEncoder EvaluationData::untrained(std::uint64_t seed) const {
  FrozenEncoder made =
      encoder("random-initialised encoder", weights_identity(model_, seed), options_.precision);
  const EmbedderOptions embedder{.precision = options_.precision,
                                 .device = options_.device,
                                 .anchor = options_.anchor,
                                 .pooling = options_.pooling};
  made.load_ = [this, embedder, seed] { return Embedder::random(description_, seed, embedder); };
  return made;
}

}  // namespace barcodemae
