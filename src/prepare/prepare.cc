// SPDX-License-Identifier: MIT
#include "prepare/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fingerprint.h"
#include "base/progress.h"
#include "base/threads.h"
#include "prepare/barcode_table.h"
#include "prepare/lineage_table.h"
#include "prepare/settle.h"
#include "sequence/text.h"
#include "sequence/writer.h"

namespace barcodemae {
namespace {

/// Of barcodes that are in several splits, the first of these gets them: evaluation stays whole and
/// is not trained on. Other names come behind train, in alphabetical order.
constexpr std::array<std::string_view, 8> kSplitOrder = {
    "test_unseen", "val_unseen", "key_unseen", "test", "val", "train", "other_heldout", "pretrain"};
constexpr std::size_t kTrainPlace = 5;
constexpr std::uint32_t kMostSplits = 64;

void require_two_readings(const std::filesystem::path& input) {
  std::error_code ignored;
  const bool once = input == "-" || std::filesystem::is_fifo(input, ignored) ||
                    std::filesystem::is_character_file(input, ignored) ||
                    std::filesystem::is_socket(input, ignored);
  if (!once) return;
  throw UserError(
      "{}: prepare reads its input twice, which a pipe does not allow.\n"
      "Write it into a file first (.gz and .zst are read as they are).",
      input == "-" ? "standard input" : input.string());
}

/// Writes records in the order they come, encoding many at once.
class BatchWriter {
 public:
  explicit BatchWriter(RecordWriter& writer) : writer_(writer) {}

  void add(const Record& record) {
    if (count_ == batch_.size()) flush();
    batch_[count_++] = record;
  }
  void flush() {
    const std::size_t pieces = (count_ + kPiece - 1) / kPiece;
    std::array<std::string, kPieces> encoded;
    parallel_for(static_cast<std::int64_t>(pieces), [&](std::int64_t piece, int) {
      const std::size_t begin = static_cast<std::size_t>(piece) * kPiece;
      encoded[static_cast<std::size_t>(piece)] =
          writer_.encode(std::span(batch_).subspan(begin, std::min(kPiece, count_ - begin)));
    });
    for (std::size_t piece = 0; piece < pieces; ++piece) writer_.write(encoded[piece]);
    count_ = 0;
  }

 private:
  static constexpr std::size_t kPiece = 1024, kPieces = 8;
  RecordWriter& writer_;
  std::vector<Record> batch_ = std::vector<Record>(kPiece * kPieces);  // their memory is used again
  std::size_t count_ = 0;
};

class Preparation {
 public:
  explicit Preparation(const PrepareOptions& options) : options_(options) {
    account_.file = options.input.filename().string();
    account_.own_splits = options.splits == SplitSource::kOwn;
    account_.first_in_file = options.duplicates == Duplicates::kFirstInFile;
  }

  PrepareAccount run() {
    require_two_readings(options_.input);
    if (options_.new_splits.val + options_.new_splits.test >= 1) {
      throw UserError(
          "--val {} and --test {} leave nothing for train\nGive shares below 1 together.",
          options_.new_splits.val, options_.new_splits.test);
    }
    // First of all: a wrong name costs no time.
    RecordWriter writer(options_.out, TableRanks::kAll);
    if (!writer.keeps_splits()) {
      throw UserError(
          "{}: FASTA has no place for splits.\nExpected .csv or .tsv, with .gz or .zst behind it "
          "to compress.",
          options_.out.string());
    }
    collect();
    settle_all();
    name_splits();
    count_splits();
    write(writer);
    writer.commit();
    return std::move(account_);
  }

 private:
  /// Calls `take(record, sequence hash, key)` for each record that is to be used.
  template <typename Take>
  void read(RecordReader& reader, const char* what, Take take) {
    account_.too_short = account_.too_ambiguous = account_.unnamed = account_.no_species = 0;
    Progress progress(fmt::format("{} {}", what, account_.file), "bytes", reader.bytes_total());
    constexpr std::int64_t kRecordsPerUpdate = 4096;
    std::uint64_t place = 0;
    for (Record record; reader.next(record);) {
      if (++place % kRecordsPerUpdate == 0) progress.update(reader.bytes_read());
      if (leave_out(record.sequence)) continue;
      const Hash128 sequence = hash_128(record.sequence);
      if (record.id.empty()) {
        ++account_.unnamed;
        record.id = fmt::format("barcode-{:016x}", sequence.high);
      }
      std::string& species = record.label(Rank::kSpecies);
      if (!account_.own_splits && names_no_species(species)) {
        ++account_.no_species;
        species.clear();
      }
      const bool first = options_.duplicates == Duplicates::kFirstInFile;
      take(record, sequence, first ? place : hash_128(record.id + '\n' + record.country).low);
    }
    progress.update(reader.bytes_read());
    progress.finish();
  }

  bool leave_out(const std::string& sequence) {
    if (sequence.size() < static_cast<std::size_t>(options_.min_length)) {
      ++account_.too_short;
      return true;
    }
    if (options_.max_ambiguous >= 1) return false;
    const auto ambiguous = std::count_if(sequence.begin(), sequence.end(), [](char c) {
      return c != 'A' && c != 'C' && c != 'G' && c != 'T';
    });
    const bool too_many = static_cast<double>(ambiguous) >
                          options_.max_ambiguous * static_cast<double>(sequence.size());
    account_.too_ambiguous += too_many;
    return too_many;
  }

  ReaderOptions reader_options() const {
    return {.marker_code = options_.marker_code,
            .listed_skips = 1,
            .count_duplicate_ids = false,
            .name_by_place = false};
  }

  void collect() {
    RecordReader reader(options_.input, reader_options());
    if (account_.own_splits && !reader.has_splits()) {
      throw UserError(
          "{}: asked to keep its splits, but it has no column \"split\".\n"
          "Leave out --splits own to make new ones.",
          options_.input.string());
    }
    account_.unused_split_column = !account_.own_splits && reader.has_splits();
    read(reader, "reading", [&](Record& record, const Hash128& sequence, std::uint64_t key) {
      if (!account_.own_splits) record.split.clear();
      const std::uint32_t lineage = lineages_.number(record);
      if (lineages_.splits().size() > kMostSplits) {
        throw UserError(
            "{}, line {}: more than {} names of splits, '{}' among them.\n"
            "Expected few, such as pretrain, train and test: is \"split\" another column?",
            options_.input.string(), record.line, kMostSplits - 1, record.split);
      }
      barcodes_.add(sequence, lineage, key);
      ++account_.used;
    });
    account_.read = reader.report();
    account_.distinct = barcodes_.size();
    if (barcodes_.size() == 0) {
      throw UserError(
          "{}: nothing is left of {} records: {} shorter than --min-length {}, {} with more\n"
          "ambiguous bases than --max-ambiguous {}.\nGive other limits.",
          options_.input.string(), format_count(account_.read.records),
          format_count(account_.too_short), options_.min_length,
          format_count(account_.too_ambiguous), options_.max_ambiguous);
    }
  }

  /// By number of the split: its place among those that contend for a barcode.
  std::vector<std::uint32_t> split_order() const {
    const NameTable& names = lineages_.splits();
    std::vector<std::uint32_t> by_rank(names.size());
    for (std::uint32_t i = 0; i < names.size(); ++i) by_rank[i] = i;
    const auto place = [&](std::uint32_t number) {
      const std::string& name = names[number];
      if (number == 0) return 2 * kSplitOrder.size();
      const auto known = std::find(kSplitOrder.begin(), kSplitOrder.end(), name);
      if (known == kSplitOrder.end()) return 2 * kTrainPlace + 1;
      return 2 * static_cast<std::size_t>(known - kSplitOrder.begin());
    };
    std::sort(by_rank.begin(), by_rank.end(), [&](std::uint32_t a, std::uint32_t b) {
      return place(a) != place(b) ? place(a) < place(b) : names[a] < names[b];
    });
    std::vector<std::uint32_t> order(names.size());
    for (std::uint32_t rank = 0; rank < by_rank.size(); ++rank) order[by_rank[rank]] = rank;
    return order;
  }

  void settle_all() {
    const std::vector<std::uint32_t> order = split_order();
    own_.resize(lineages_.splits().size());
    for (std::uint32_t i = 0; i < barcodes_.size(); ++i) {
      Barcode& barcode = barcodes_[i];
      const std::vector<Vote> votes = barcodes_.votes(barcode);
      if (account_.own_splits) count_own(votes);
      if (votes.size() == 1) {
        barcodes_.settle(barcode, barcode.vote);
        continue;
      }
      const Settled settled = account_.first_in_file ? settle_by_first(votes, lineages_)
                                                     : settle(votes, lineages_, order);
      Conflicts& conflicts = account_.conflicts;
      conflicts.species += settled.several_species;
      conflicts.species_by_majority += settled.species_by_majority;
      conflicts.genera += settled.several_genera;
      conflicts.genera_by_majority += settled.genus_by_majority;
      conflicts.splits += settled.several_splits;
      barcode.contested = settled.several_species;
      Vote outcome{settled.key, lineages_.number(settled.lineage), 0};
      for (const Vote& vote : votes) outcome.records += vote.records;
      barcodes_.settle(barcode, outcome);
    }
  }

  /// Records and distinct sequences of the splits as filed.
  void count_own(std::span<const Vote> votes) {
    std::uint64_t met = 0;  // one bit a split
    static_assert(kMostSplits <= 64);
    for (const Vote& vote : votes) {
      const std::uint32_t split = lineages_[vote.lineage].split;
      own_[split].records += vote.records;
      const std::uint64_t bit = std::uint64_t{1} << split;
      own_[split].distinct += (met & bit) == 0;
      met |= bit;
    }
  }

  /// Gives every barcode its split and `account_.splits` their names.
  void name_splits() {
    if (!account_.own_splits) {
      account_.made = assign_new_splits(barcodes_, lineages_, options_.new_splits);
      if (options_.new_splits.unseen_species > 0 && account_.made.unseen == 0) {
        throw UserError(
            "{}: --unseen-species {} holds out no species of {}.\n"
            "An unseen species needs another species of its genus in train, a BIN of its own "
            "where\n"
            "there are BINs, and one genus for all its records.",
            options_.input.string(), options_.new_splits.unseen_species,
            format_count(account_.made.species));
      }
      for (const char* name : kNewSplits) account_.splits.push_back({.name = name});
      return;
    }
    for (std::uint32_t i = 0; i < barcodes_.size(); ++i) {
      const std::uint32_t split = lineages_[barcodes_[i].vote.lineage].split;
      barcodes_[i].split = static_cast<std::uint8_t>(split);
      account_.without_split += split == 0;
    }
    account_.splits = own_;
    for (std::uint32_t i = 0; i < own_.size(); ++i) account_.splits[i].name = lineages_.splits()[i];
    if (account_.without_split == static_cast<std::int64_t>(barcodes_.size())) {
      throw UserError(
          "{}: its column \"split\" is empty in every record.\nLeave out --splits own to make new "
          "splits.",
          options_.input.string());
    }
  }

  /// Fills the table of splits: without number 0, and empty ones, in the order of kNewSplits and
  /// then by name.
  void count_splits() {
    std::vector<SplitAccount>& splits = account_.splits;
    std::vector<std::vector<bool>> species(splits.size()), genera(splits.size());
    for (std::size_t i = 0; i < splits.size(); ++i) {
      species[i].resize(lineages_.names(Rank::kSpecies).size());
      genera[i].resize(lineages_.names(Rank::kGenus).size());
    }
    for (std::uint32_t i = 0; i < barcodes_.size(); ++i) {
      const Barcode& barcode = barcodes_[i];
      const Lineage& lineage = lineages_[barcode.vote.lineage];
      SplitAccount& split = splits[barcode.split];
      ++split.barcodes;
      species[barcode.split][lineage.name(Rank::kSpecies)] = true;
      genera[barcode.split][lineage.name(Rank::kGenus)] = true;
      if (!account_.own_splits) {
        split.records += barcode.vote.records;
        ++split.distinct;
      }
    }
    for (std::size_t i = 0; i < splits.size(); ++i) {
      splits[i].species = std::count(species[i].begin() + 1, species[i].end(), true);
      splits[i].genera = std::count(genera[i].begin() + 1, genera[i].end(), true);
      account_.written += i == 0 ? 0 : splits[i].barcodes;
    }
    count_unseen_in_train(species);
    splits.erase(splits.begin());
    std::erase_if(splits, [](const SplitAccount& split) { return split.distinct == 0; });
    const auto place = [](const SplitAccount& split) {
      return std::find(kNewSplits.begin(), kNewSplits.end(), split.name) - kNewSplits.begin();
    };
    std::sort(splits.begin(), splits.end(), [&](const SplitAccount& a, const SplitAccount& b) {
      return place(a) != place(b) ? place(a) < place(b) : a.name < b.name;
    });
  }

  void count_unseen_in_train(const std::vector<std::vector<bool>>& species) {
    const auto named = [&](std::string_view name) -> const std::vector<bool>* {
      for (std::size_t i = 0; i < species.size(); ++i) {
        if (account_.splits[i].name == name) return &species[i];
      }
      return nullptr;
    };
    const std::vector<bool>* train = named("train");
    const std::vector<bool>*val = named("val_unseen"), *test = named("test_unseen");
    if (train == nullptr) return;
    for (std::size_t i = 1; i < train->size(); ++i) {
      const bool unseen = (val != nullptr && (*val)[i]) || (test != nullptr && (*test)[i]);
      account_.unseen_in_train += (*train)[i] && unseen;
    }
  }

  void write(RecordWriter& writer) {
    RecordReader reader(options_.input, reader_options());
    BatchWriter batches(writer);
    // By number, as in Barcode::split: account_.splits is in order for people by now.
    std::vector<std::string> names(kNewSplits.begin(), kNewSplits.end());
    if (account_.own_splits) {
      names.clear();
      for (std::uint32_t i = 0; i < lineages_.splits().size(); ++i) {
        names.push_back(lineages_.splits()[i]);
      }
    }
    std::int64_t written = 0;
    read(reader, "second pass over",
         [&](Record& record, const Hash128& sequence, std::uint64_t key) {
           const std::uint32_t number = barcodes_.find(sequence);
           if (number == BarcodeTable::kNone) changed_meanwhile();
           Barcode& barcode = barcodes_[number];
           if (barcode.split == 0 || barcode.written || barcode.vote.key != key) return;
           barcode.written = true;
           const Lineage& lineage = lineages_[barcode.vote.lineage];
           for (std::size_t i = 0; i < kRankCount; ++i) {
             record.labels[i] = lineages_.names(static_cast<Rank>(i))[lineage.names[i]];
           }
           record.split = names[barcode.split];
           batches.add(record);
           ++written;
         });
    batches.flush();
    if (written != account_.written) changed_meanwhile();
  }

  [[noreturn]] void changed_meanwhile() const {
    throw UserError("{}: changed while it was read.\nStart again when it is complete.",
                    options_.input.string());
  }

  const PrepareOptions& options_;
  PrepareAccount account_;
  LineageTable lineages_;
  BarcodeTable barcodes_;
  std::vector<SplitAccount> own_;  ///< by number of the split
};

}  // namespace

PrepareAccount prepare(const PrepareOptions& options) { return Preparation(options).run(); }

}  // namespace barcodemae
