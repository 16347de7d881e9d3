// SPDX-License-Identifier: MIT
#include "prepare/account.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/progress.h"

namespace barcodemae {
namespace {

/// "12,345 what", with an "s" where there are several.
std::string counted(std::int64_t number, const std::string& what) {
  return format_count(number) + " " + what + (number == 1 ? "" : "s");
}

class Text {
 public:
  template <typename... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    text_ += fmt::format(format, std::forward<Args>(args)...) + '\n';
  }
  /// A line for what happened, none for what did not.
  void count(std::int64_t number, const std::string& what) {
    if (number > 0) line("  {:>13} {}", format_count(number), what);
  }
  std::string text_;
};

/// Skipped records by reason, most frequent first; reasons beyond the fifth together.
void describe_skips(const ReadReport& read, Text& text) {
  std::vector<std::pair<std::int64_t, std::string>> reasons;
  for (const auto& [reason, count] : read.skipped_for) reasons.emplace_back(-count, reason);
  std::sort(reasons.begin(), reasons.end());
  constexpr std::size_t kNamed = 5;
  std::int64_t others = 0;
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    if (i < kNamed) {
      text.count(-reasons[i].first, "skipped: " + reasons[i].second);
    } else {
      others -= reasons[i].first;
    }
  }
  text.count(others, "skipped for other reasons");
  if (!read.skips.empty()) {
    const ReadReport::Skip& first = read.skips.front();
    text.line("{:16}the first of them is in line {}: {}", "", first.line, first.reason);
  }
}

void describe_reading(const PrepareAccount& account, Text& text) {
  const ReadReport& read = account.read;
  text.line("{}: {} read, {} used", account.file,
            counted(read.records + read.skipped + read.other_markers, "record"),
            format_count(account.used));
  describe_skips(read, text);
  text.count(read.other_markers, "left out: of another marker");
  text.count(account.too_short, "left out: shorter than --min-length");
  text.count(account.too_ambiguous, "left out: more ambiguous bases than --max-ambiguous");
  text.count(account.unnamed, "without an id: named by their sequence's hash");
  text.count(account.no_species, "whose species names none (Aus sp.): kept without it");
  text.count(read.unread_headers, "with a FASTA header of no known form: read without labels");
}

void describe_duplicates(const PrepareAccount& account, Text& text) {
  text.line("{}; {} more of the same sequence", counted(account.distinct, "distinct barcode"),
            counted(account.used - account.distinct, "record"));
  const Conflicts& conflicts = account.conflicts;
  const auto describe = [&](std::int64_t several, std::int64_t majority, const char* what) {
    if (several == 0) return;
    const std::string rule =
        account.first_in_file
            ? "the first record's is kept"
            : fmt::format("{} settled by majority, {} left without", format_count(majority),
                          format_count(several - majority));
    text.count(several, fmt::format("name several {}: {}", what, rule));
  };
  describe(conflicts.species, conflicts.species_by_majority, "species");
  describe(conflicts.genera, conflicts.genera_by_majority, "genera");
  text.count(conflicts.splits, account.first_in_file
                                   ? "are in several splits: the first record's is kept"
                                   : "are in several splits: evaluation comes before training");
}

void describe_choices(const PrepareAccount& account, Text& text) {
  if (account.own_splits) {
    text.count(account.without_split, "left out: no split is given");
    return;
  }
  const NewSplits& made = account.made;
  text.count(made.near_unseen, "left out: no species, in the BIN of an unseen species");
  text.count(made.contested_unseen, "left out: some of their records name an unseen species");
}

void describe_splits(const PrepareAccount& account, Text& text) {
  std::size_t width = 5;
  for (const SplitAccount& split : account.splits) width = std::max(width, split.name.size());
  text.line("\n{:{}}  {:>11}  {:>11}  {:>11}  {:>8}  {:>8}", "split", width, "records", "distinct",
            "written", "species", "genera");
  for (const SplitAccount& split : account.splits) {
    text.line("{:{}}  {:>11}  {:>11}  {:>11}  {:>8}  {:>8}", split.name, width,
              format_count(split.records), format_count(split.distinct),
              format_count(split.barcodes), format_count(split.species),
              format_count(split.genera));
  }
}

void describe_caveats(const PrepareAccount& account, Text& text) {
  const NewSplits& made = account.made;
  if (made.unseen < made.unseen_wanted) {
    text.line(
        "Of {} species to hold out {} can be: the others are alone in their genus, share a BIN\n"
        "with another species or stand under several genera.",
        format_count(made.unseen_wanted), format_count(made.unseen));
  }
  if (account.unused_split_column) {
    text.line("The file's own splits were left aside; --splits own keeps them.");
  }
  if (account.unseen_in_train > 0) {
    text.line("warning: {} of val_unseen or test_unseen {} in train too.",
              format_count(account.unseen_in_train) + " species",
              account.unseen_in_train == 1 ? "is" : "are");
  }
  const bool pretrain = std::any_of(
      account.splits.begin(), account.splits.end(),
      [](const SplitAccount& split) { return split.name == "pretrain" && split.barcodes > 0; });
  if (!pretrain) text.line("Nothing is in pretrain: pretrain with --splits train.");
}

}  // namespace

std::string PrepareAccount::to_text() const {
  Text text;
  describe_reading(*this, text);
  describe_duplicates(*this, text);
  describe_choices(*this, text);
  describe_splits(*this, text);
  describe_caveats(*this, text);
  return std::move(text.text_);
}

}  // namespace barcodemae
