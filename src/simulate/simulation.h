// SPDX-License-Identifier: MIT
// Synthetic COI-like barcodes along a taxonomy.
#pragma once

#include <cstdint>

#include "sequence/record.h"
#include "sequence/writer.h"
#include "simulate/codon_evolution.h"
#include "simulate/phylogeny.h"
#include "simulate/taxonomy.h"

namespace barcodemae {

/// Most records of one simulation: their taxonomy is held in memory, about 40 bytes a record.
inline constexpr std::int64_t kMostSimulatedRecords = 100'000'000;

/// Barcodes with labels, BINs and splits. Sequences evolve along the taxonomy as codons of the
/// invertebrate mitochondrial code: third positions saturate, the protein hardly changes, no codon
/// ever stops. The 658 bases of the barcode region begin with the last base of a codon; some
/// records miss bases at their ends or run beyond. Every record follows from the options alone,
/// whatever the threads.
class Simulation {
 public:
  /// Throws UserError for options that make no sense.
  explicit Simulation(const SimulationOptions& options);

  std::int64_t size() const { return options_.records; }
  const Taxonomy& taxonomy() const { return taxonomy_; }
  /// The record at a place of the file; records are in random order. May be called from several
  /// threads at once.
  void record(std::int64_t index, Record& record) const;

 private:
  std::int64_t individual_at(std::int64_t index) const;

  SimulationOptions options_;
  Taxonomy taxonomy_;
  ProteinProfile profile_;
  Phylogeny phylogeny_;
};

/// Writes all records, in parallel, with progress.
void write_simulation(const Simulation& simulation, RecordWriter& writer);

}  // namespace barcodemae
