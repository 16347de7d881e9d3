// SPDX-License-Identifier: MIT
#include "data/dataset.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/fingerprint.h"
#include "base/progress.h"
#include "base/threads.h"
#include "data/splits.h"

namespace barcodemae {
namespace {

// IUPAC codes by number; what is none of them is kept as N.
constexpr std::string_view kCodes = "ACGTRYSWKMBDHVN-";
constexpr std::uint8_t kN = 14;
constexpr std::int64_t kBlock = 256;  // records placed by one call

constexpr std::array<std::uint8_t, 256> code_numbers() {
  std::array<std::uint8_t, 256> numbers{};
  numbers.fill(kN);
  for (std::size_t i = 0; i < kCodes.size(); ++i) {
    numbers[static_cast<unsigned char>(kCodes[i])] = static_cast<std::uint8_t>(i);
  }
  return numbers;
}
constexpr std::array<std::uint8_t, 256> kCodeNumber = code_numbers();

template <typename T>
void hash_array(Fingerprint& fingerprint, const std::vector<T>& values) {
  fingerprint.add(values.data(), values.size() * sizeof(T));
}

void hash_names(Fingerprint& fingerprint, const std::vector<std::string>& names) {
  for (const std::string& name : names) fingerprint.add(name.c_str(), name.size() + 1);
}

}  // namespace

void Dataset::Column::append(const std::string& name) {
  if (name.empty()) {
    values.push_back(-1);
    return;
  }
  const auto [entry, added] = numbers.try_emplace(name, static_cast<std::int32_t>(names.size()));
  if (added) names.push_back(name);
  values.push_back(entry->second);
}

Dataset Dataset::load(const std::filesystem::path& file, const LoadOptions& options) {
  RecordReader reader(file, options.reader);
  const std::set<std::string> wanted(options.splits.begin(), options.splits.end());
  std::set<std::string> kept = wanted;
  kept.insert(options.optional_splits.begin(), options.optional_splits.end());
  if (!wanted.empty() && !reader.has_splits()) {
    throw UserError(
        "{}: asked for the splits {}, but this file has no column \"split\".\n"
        "Leave the option out to use all records.",
        file.string(), listed_splits({wanted.begin(), wanted.end()}));
  }
  Dataset data;
  data.has_splits_ = reader.has_splits();
  std::set<std::string> seen;
  std::optional<Progress> progress;
  if (options.progress) {
    progress.emplace("reading " + file.filename().string(), "bytes", reader.bytes_total());
  }
  constexpr std::int64_t kRecordsPerUpdate = 4096;
  std::int64_t read = 0;
  for (Record record; reader.next(record);) {
    if (progress && ++read % kRecordsPerUpdate == 0) progress->update(reader.bytes_read());
    if (!wanted.empty()) {
      if (!record.split.empty()) seen.insert(record.split);
      if (!kept.contains(record.split)) continue;
    }
    if (data.size() == std::numeric_limits<std::int32_t>::max()) {
      throw UserError("{}: more than 2,147,483,647 records. Split the file.", file.string());
    }
    data.append(record);
  }
  if (progress) {
    progress->update(reader.bytes_read());
    progress->finish();
  }
  for (const std::string& split : wanted) {
    if (seen.contains(split)) continue;
    throw UserError("{}: no record of split \"{}\".\nSplits in this file: {}. Name some of them.",
                    file.string(), split, listed_splits({seen.begin(), seen.end()}));
  }
  data.bases_.shrink_to_fit();
  data.report_ = reader.report();
  return data;
}

void Dataset::append(const Record& record) {
  placements_.clear();
  ids_.push_back(record.id);
  const std::string& sequence = record.sequence;
  byte_begins_.push_back(static_cast<std::int64_t>(bases_.size()));
  lengths_.push_back(static_cast<std::int32_t>(sequence.size()));
  const auto code = [&sequence](std::size_t i) {
    return i < sequence.size() ? kCodeNumber[static_cast<unsigned char>(sequence[i])] : kN;
  };
  for (std::size_t i = 0; i < sequence.size(); i += 2) {
    bases_.push_back(static_cast<std::uint8_t>(code(i) | code(i + 1) << 4));
  }
  for (std::size_t rank = 0; rank < kRankCount; ++rank) labels_[rank].append(record.labels[rank]);
  splits_.append(record.split);
  has_splits_ = has_splits_ || !record.split.empty();
}

std::string Dataset::sequence(std::int64_t record) const {
  std::string sequence(static_cast<std::size_t>(length(record)), '\0');
  const std::uint8_t* packed = bases_.data() + byte_begins_[index(record)];
  for (std::size_t i = 0; i < sequence.size(); ++i) {
    sequence[i] = kCodes[static_cast<std::size_t>(packed[i / 2] >> (i % 2 * 4) & 15)];
  }
  return sequence;
}

const std::string& Dataset::split(std::int64_t record) const {
  static const std::string kNone;
  const std::int32_t number = splits_.values[index(record)];
  return number < 0 ? kNone : splits_.names[static_cast<std::size_t>(number)];
}

std::vector<std::int64_t> Dataset::records_of_split(std::string_view split) const {
  std::vector<std::int64_t> records;
  const auto found = splits_.numbers.find(std::string(split));
  if (found == splits_.numbers.end()) return records;
  for (std::int64_t record = 0; record < size(); ++record) {
    if (splits_.values[index(record)] == found->second) records.push_back(record);
  }
  return records;
}

double Dataset::anchor(const MarkerProfile& profile) {
  placements_.assign(ids_.size(), {});
  parallel_for((size() + kBlock - 1) / kBlock, [&](std::int64_t block, int) {
    for (std::int64_t i = block * kBlock; i < std::min(size(), (block + 1) * kBlock); ++i) {
      placements_[index(i)] = profile.place(sequence(i));
    }
  });
  return share_explained();
}

double Dataset::share_explained() const {
  const auto explained = std::ranges::count_if(placements_, &Placement::explained);
  return size() == 0 ? 0.0 : static_cast<double>(explained) / static_cast<double>(size());
}

TokenSequence Dataset::tokens(std::int64_t record, const SequenceCoder& coder, int offset) const {
  return coder.encode(sequence(record), anchored() ? placement(record) : Placement{}, offset);
}

std::string Dataset::fingerprint() const {
  Fingerprint fingerprint;
  hash_names(fingerprint, ids_);
  hash_array(fingerprint, lengths_);
  hash_array(fingerprint, bases_);
  for (const Column& column : labels_) {
    hash_array(fingerprint, column.values);
    hash_names(fingerprint, column.names);
  }
  hash_array(fingerprint, splits_.values);
  hash_names(fingerprint, splits_.names);
  return fingerprint.hex();
}

}  // namespace barcodemae
