// SPDX-License-Identifier: MIT
#include "evaluation/sequence_search.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <fstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/external_program.h"
#include "base/log.h"
#include "base/threads.h"
#include "sequence/text.h"

namespace barcodemae {
namespace fs = std::filesystem;
namespace {

using Words = std::vector<std::string>;

constexpr const char* kKeys = "keys.fasta";
constexpr const char* kQueries = "queries.fasta";
constexpr const char* kHits = "hits.tsv";
const Words kBlastWords = {"-task", "megablast", "-max_target_seqs", "10", "-max_hsps", "1"};
const Words kVsearchWords = {"--id",         "0.7", "--maxaccepts", "1",
                             "--maxrejects", "64",  "--strand",     "both"};

std::string first_line(const std::string& text) {
  return std::string(trim(text.substr(0, text.find('\n'))));
}

/// Records by their place in the list: names of others may be anything.
void write_fasta(const fs::path& file, const Dataset& data, std::span<const std::int64_t> records) {
  AtomicFile fasta(file);
  std::string text;
  for (std::size_t i = 0; i < records.size(); ++i) {
    text += fmt::format(">r{}\n{}\n", i, data.sequence(records[i]));
    if (text.size() > (1 << 20) || i + 1 == records.size()) {
      fasta.write(text);
      text.clear();
    }
  }
  fasta.commit();
}

void run(const fs::path& program, const Words& words, const fs::path& folder) {
  const ProgramOutcome outcome = run_program(program, words, folder);
  if (outcome.exit_code == 0) return;
  const std::string said = first_line(outcome.err.empty() ? outcome.out : outcome.err);
  throw UserError(
      "{} ended with exit code {}: {}\nWhat is finished is kept: mend it, or leave this baseline "
      "out with --baselines, and repeat the command.",
      program.string(), outcome.exit_code, said.empty() ? "it said nothing" : said.substr(0, 300));
}

/// "r123" as 123, below `count`; −1 for anything else.
std::int64_t place_named(std::string_view name, std::size_t count) {
  std::int64_t place = -1;
  if (!name.starts_with('r')) return -1;
  const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), place);
  const bool good = error == std::errc{} && end == name.data() + name.size() && place >= 0 &&
                    place < static_cast<std::int64_t>(count);
  return good ? place : -1;
}

/// Lines query, target, score between tabs: of each query the highest score.
std::vector<Neighbour> read_hits(const fs::path& file, const fs::path& program, std::size_t keys,
                                 std::size_t queries) {
  std::vector<Neighbour> best(queries);
  std::ifstream stream(file);
  std::string line;
  for (std::int64_t number = 1; std::getline(stream, line); ++number) {
    const std::size_t first = line.find('\t'), second = line.find('\t', first + 1);
    Neighbour hit{-1, 0};
    std::int64_t query = -1;
    bool scored = false;
    if (first != std::string::npos && second != std::string::npos) {
      const std::string_view text = trim(std::string_view(line).substr(second + 1));
      const auto [end, error] =
          std::from_chars(text.data(), text.data() + text.size(), hit.similarity);
      scored = error == std::errc{} && end == text.data() + text.size();
      query = place_named(std::string_view(line).substr(0, first), queries);
      hit.key = place_named(std::string_view(line).substr(first + 1, second - first - 1), keys);
    }
    if (!scored || query < 0 || hit.key < 0) {
      throw UserError(
          "{} answered what cannot be read, in line {} of its hits: {}\nquery, key and score "
          "between tabs are expected. Is it the program of that name?",
          program.string(), number, line.substr(0, 100));
    }
    Neighbour& so_far = best[static_cast<std::size_t>(query)];
    if (so_far.key < 0 || hit.similarity > so_far.similarity ||
        (hit.similarity == so_far.similarity && hit.key < so_far.key)) {
      so_far = hit;
    }
  }
  return best;
}

}  // namespace

std::optional<SequenceSearch> SequenceSearch::find(Program program) {
  const bool blast = program == Program::kBlast;
  const std::optional<fs::path> file = find_program(blast ? "blastn" : "vsearch");
  if (!file) {
    log_info("{} is left out: no {} on PATH (Debian: {})", blast ? "BLAST" : "VSEARCH",
             blast ? "blastn" : "vsearch", blast ? "ncbi-blast+" : "vsearch");
    return std::nullopt;
  }
  const WorkingFolder folder;
  const ProgramOutcome outcome =
      run_program(*file, {blast ? "-version" : "--version"}, folder.path());
  SequenceSearch found;
  found.version_ = first_line(blast ? outcome.out : outcome.err);  // each has its own place for it
  if (found.version_.empty()) found.version_ = first_line(blast ? outcome.err : outcome.out);
  if (outcome.exit_code != 0 || found.version_.empty()) {
    log_warn("{} does not tell its version (exit code {}); it is left out", file->string(),
             outcome.exit_code);
    return std::nullopt;
  }
  // "vsearch v2.22.1_linux_x86_64, 23.5GB RAM, 2 cores": the machine is no part of it.
  found.version_ = found.version_.substr(0, found.version_.find(','));
  found.program_ = program;
  found.file_ = *file;
  found.name_ = blast ? "BLAST (megablast top hit)" : "VSEARCH (top hit)";
  return found;
}

std::string SequenceSearch::options() const {
  const bool blast = program_ == Program::kBlast;
  return fmt::format("{} {}", blast ? "blastn" : "vsearch --usearch_global",
                     fmt::join(blast ? kBlastWords : kVsearchWords, " "));
}

void SequenceSearch::search(const fs::path& folder) const {
  const std::string threads = std::to_string(thread_count());
  Words words;
  if (program_ == Program::kVsearch) {
    words = {"--usearch_global", kQueries,          "--db",      kKeys,   "--userout", kHits,
             "--userfields",     "query+target+id", "--threads", threads, "--quiet"};
    words.insert(words.end(), kVsearchWords.begin(), kVsearchWords.end());
  } else {
    words = {"-query", kQueries, "-out", kHits, "-outfmt", "6 qseqid sseqid bitscore"};
    words.insert(words.end(), kBlastWords.begin(), kBlastWords.end());
    // With an index it uses all threads; it answers the same without.
    if (const auto indexer = find_program("makeblastdb")) {
      run(*indexer, {"-in", kKeys, "-dbtype", "nucl", "-out", "keys"}, folder);
      words.insert(words.end(), {"-db", "keys", "-num_threads", threads});
    } else {
      words.insert(words.end(), {"-subject", kKeys});
    }
  }
  run(file_, words, folder);
}

std::vector<Neighbour> SequenceSearch::nearest(const Dataset& data,
                                               std::span<const std::int64_t> keys,
                                               std::span<const std::int64_t> queries) const {
  const WorkingFolder folder;
  write_fasta(folder.path() / kKeys, data, keys);
  write_fasta(folder.path() / kQueries, data, queries);
  log_info("{}: {} queries against {} keys", name_, queries.size(), keys.size());
  search(folder.path());
  return read_hits(folder.path() / kHits, file_, keys.size(), queries.size());
}

}  // namespace barcodemae
