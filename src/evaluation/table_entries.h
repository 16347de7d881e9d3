// SPDX-License-Identifier: MIT
// The rows of the paper's table as what they can do: give vectors of records, or answer queries.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "analysis/nearest.h"
#include "communication/communicator.h"
#include "evaluation/frozen_features.h"
#include "evaluation/table_cells.h"
#include "evaluation/table_sources.h"

namespace barcodemae {

/// The data as one coder reads them, loaded when they are asked for. Collective.
class TableReading {
 public:
  /// `model`: empty for what needs none.
  TableReading(std::filesystem::path model, std::filesystem::path data,
               const FeatureOptions& options, Communicator& communicator);

  EvaluationData& evaluation();
  Dataset& data() { return evaluation().data(); }
  /// EvaluationData::labelled, remembered.
  const LabelledRecords& labelled(const std::string& splits, Rank rank, std::string_view option);
  /// The marker that the data are anchored by from then on, for what has no model; nothing when no
  /// profile fits.
  const std::optional<MarkerProfile>& profile();
  /// The reading options that vectors depend on, for identities.
  const FeatureOptions& options() const { return options_; }
  const std::filesystem::path& model() const { return model_; }
  Communicator& communicator() const { return communicator_; }

 private:
  std::filesystem::path model_, file_;
  FeatureOptions options_;
  Communicator& communicator_;
  std::unique_ptr<EvaluationData> evaluation_;
  std::map<std::pair<std::string, Rank>, LabelledRecords> labelled_;
  std::optional<std::optional<MarkerProfile>> profile_;  // once it was asked for
};

/// One row to be filled. Collective, but for nearest(): rank 0 alone searches.
class TableEntry {
 public:
  enum class Kind { kModel, kEmbeddings, kBaseline };

  TableEntry(std::string name, Kind kind, std::shared_ptr<TableReading> reading);
  virtual ~TableEntry() = default;
  TableEntry(const TableEntry&) = delete;
  TableEntry& operator=(const TableEntry&) = delete;

  const std::string& name() const { return name_; }
  Kind kind() const { return kind_; }
  TableReading& reading() { return *reading_; }
  /// What its vectors or answers follow from, data and options apart.
  virtual std::string identity() = 0;
  /// A word for the reader: versions, what is missing; empty: nothing to say.
  virtual std::string note() const { return {}; }

  /// Whether there are vectors: else it answers queries, and does nothing more.
  virtual bool has_vectors() const { return true; }
  /// Vectors of these records, as long as the entry and `records` live; nothing when some are
  /// missing.
  virtual std::optional<RowSource> vectors(const LabelledRecords& records) = 0;
  /// The most similar key of every query; nothing when it cannot tell.
  virtual std::optional<std::vector<Neighbour>> nearest(const LabelledRecords& keys,
                                                        const LabelledRecords& queries);
  /// Whether embedding a barcode costs something of its own.
  virtual bool is_encoder() const { return false; }
  /// Measures it on a sample of these records; of encoders alone.
  virtual CostCell cost(const LabelledRecords& records);

 private:
  std::string name_;
  Kind kind_;
  std::shared_ptr<TableReading> reading_;
};

using TableEntries = std::vector<std::unique_ptr<TableEntry>>;

/// The model, or with a seed the encoder that its training began with.
std::unique_ptr<TableEntry> encoder_entry(std::string name, std::shared_ptr<TableReading> reading,
                                          std::optional<std::uint64_t> seed);
/// Vectors of records by their ids. Throws UserError when the files cannot be used: vectors and
/// rows out of step, no ids, ids used twice or unknown to the data, a label that is not the data's.
std::unique_ptr<TableEntry> embeddings_entry(const TableSource& source,
                                             std::shared_ptr<TableReading> reading);

struct BaselineOptions {
  std::vector<std::string> names;  ///< of kmer, sites, aligned, blast, vsearch
  int kmer = 6;
};
/// Those of the named ones that are there; says which are not.
TableEntries baseline_entries(const BaselineOptions& options,
                              const std::shared_ptr<TableReading>& reading);

}  // namespace barcodemae
