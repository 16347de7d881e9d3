// SPDX-License-Identifier: MIT
// What every evaluation of frozen features begins with: the labelled records of some splits, and
// their vectors under a model, computed once and kept.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "communication/communicator.h"
#include "evaluation/embedding_cache.h"
#include "formats/model_directory.h"
#include "inference/embedder.h"

namespace barcodemae {

/// How barcodes are read and embedded.
struct FeatureOptions {
  DType precision = DType::kFloat32;
  std::string device = "cpu";
  /// How sequences are read: as the model was trained (auto), none, or by a profile FILE.
  std::string anchor = "auto";
  std::string marker_code = ReaderOptions().marker_code;
  std::string pooling = "model";  ///< as pool_as() knows it
  std::filesystem::path cache;    ///< folder for embeddings; empty: none
};

/// Records that an evaluation can use: with a label at the rank and with a token.
struct LabelledRecords {
  std::string splits;  ///< as given, for messages: "test+test_unseen"
  Rank rank = Rank::kGenus;
  std::vector<std::int64_t> records;  ///< in file order
  std::vector<std::int32_t> labels;   ///< of each, ≥ 0, as the data set numbers them
  std::int64_t unlabelled = 0;        ///< records of the splits left out for want of a label
  std::int64_t without_token = 0;     ///< … of a whole k-mer

  std::int64_t size() const { return static_cast<std::int64_t>(records.size()); }
  std::int64_t left_out() const { return unlabelled + without_token; }
};

/// An encoder whose vectors are asked for: loaded when the cache does not have them.
class FrozenEncoder {
 public:
  /// A name for the row of a table.
  const std::string& name() const { return name_; }
  /// Vectors [records, width] in their order. Collective: each process embeds its share.
  Matrix embed(const LabelledRecords& records, const InferenceMask& mask = {});
  /// The same for any records of the data. `selection` says which they are ("split train"): it
  /// names them in the cache and in messages. Collective.
  Matrix embed(const std::string& selection, std::span<const std::int64_t> records,
               const InferenceMask& mask = {});
  /// What computes them, loaded now at the latest.
  Embedder& embedder();

 private:
  friend class EvaluationData;
  std::string name_, identity_;
  std::function<Embedder()> load_;
  const Dataset* data_ = nullptr;
  const EmbeddingCache* cache_ = nullptr;
  Communicator* communicator_ = nullptr;
  std::optional<Embedder> embedder_;
};

/// A model directory and the data set it is evaluated on, read as the model reads. Collective, as
/// is what it makes; it and the communicator must outlive that.
class EvaluationData {
 public:
  /// Throws UserError when the model or the data cannot be used.
  EvaluationData(const std::filesystem::path& model, const std::filesystem::path& data,
                 const FeatureOptions& options, Communicator& communicator);
  /// Without a model, for what needs none: records read as they are, or anchored by the profile of
  /// options.anchor when that is a file.
  EvaluationData(const std::filesystem::path& data, const FeatureOptions& options,
                 Communicator& communicator);
  EvaluationData(const EvaluationData&) = delete;
  EvaluationData& operator=(const EvaluationData&) = delete;

  Dataset& data() { return data_; }
  /// The model as it is read and pooled.
  const ModelDescription& description() const { return description_; }
  /// That the data are anchored by; none when they are read as they are.
  const std::optional<MarkerProfile>& profile() const { return description_.coder.profile; }

  /// The splits named by `option` (joined with +), all of which the data have. Throws UserError,
  /// with the splits there are.
  std::vector<std::string> splits(const std::string& text, std::string_view option) const;
  /// The usable records of these splits; what is left out is counted and said. Throws UserError,
  /// naming `option`, when there is none. No splits: all records, whatever their split.
  LabelledRecords labelled(const std::vector<std::string>& splits, Rank rank,
                           std::string_view option) const;

  /// Whether any record of these splits has a label at the rank.
  bool has_labels(const std::vector<std::string>& splits, Rank rank) const;
  /// All records of these splits with a token, labelled or not, in file order.
  std::vector<std::int64_t> with_tokens(const std::vector<std::string>& splits) const;

  /// The model itself, at the options' precision or another.
  FrozenEncoder trained() const { return trained(options_.precision); }
  FrozenEncoder trained(DType precision) const;
  /// The same architecture with the weights that training begins with: the baseline of every table.
  FrozenEncoder untrained(std::uint64_t seed) const;

 private:
  EvaluationData(std::filesystem::path model, ModelDescription description,
                 const std::filesystem::path& data, const FeatureOptions& options,
                 Communicator& communicator);
  FrozenEncoder encoder(std::string name, const std::string& weights, DType precision) const;

  std::filesystem::path model_, file_;
  FeatureOptions options_;
  Communicator& communicator_;
  ModelDescription description_;
  Dataset data_;
  EmbeddingCache cache_;
  std::string data_name_, reading_;
};

/// What vectors of a model directory follow from, apart from how they are read: its content or,
/// with a seed, its architecture and the weights that training begins with.
std::string weights_identity(const std::filesystem::path& model, std::optional<std::uint64_t> seed);

}  // namespace barcodemae
