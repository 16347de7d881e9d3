// SPDX-License-Identifier: MIT
#include "sequence/fasta_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "sequence/text.h"

namespace barcodemae {
namespace {

constexpr std::size_t kMaxFields = 16;

struct Fields {
  std::array<std::string_view, kMaxFields> values;
  std::size_t count = 0;
};

/// The first fields of a text, trimmed; what is beyond kMaxFields stays unread.
Fields split(std::string_view text, char separator) {
  Fields fields;
  while (fields.count < kMaxFields) {
    const std::size_t end = text.find(separator);
    fields.values[fields.count++] = trim(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return fields;
}

std::string_view first_word(std::string_view text) { return text.substr(0, text.find(' ')); }

void set_label(Record& record, Rank rank, std::string_view name) {
  if (!is_missing_label(name)) record.label(rank) = name;
}

/// Rank of the letter by which SINTAX and UNITE name it. A domain stands for the kingdom.
std::optional<Rank> rank_of_letter(char letter) {
  switch (letter) {
    case 'd':
    case 'k':
      return Rank::kKingdom;
    case 'p':
      return Rank::kPhylum;
    case 'c':
      return Rank::kClass;
    case 'o':
      return Rank::kOrder;
    case 'f':
      return Rank::kFamily;
    case 'g':
      return Rank::kGenus;
    case 's':
      return Rank::kSpecies;
    default:
      return std::nullopt;
  }
}

void set_by_letter(Record& record, char letter, std::string_view name) {
  const std::optional<Rank> rank = rank_of_letter(letter);
  if (!rank) return;
  if (rank == Rank::kSpecies) {
    if (names_no_species(name)) return;
    set_label(record, Rank::kSpecies, name);
    std::string& species = record.label(Rank::kSpecies);
    std::replace(species.begin(), species.end(), '_', ' ');
  } else if (letter != 'd' || record.label(Rank::kKingdom).empty()) {
    set_label(record, *rank, name);
  }
}

/// The number of a taxon of NCBI behind its name, as MIDORI2 has it: Apis_7459.
std::size_t taxon_number_at(std::string_view text) {
  const std::size_t last = text.find_last_not_of("0123456789");
  return last != std::string_view::npos && last > 0 && last + 1 < text.size() && text[last] == '_'
             ? last
             : std::string_view::npos;
}

/// Whether every taxon has a number, and there is one.
bool are_numbered(const Fields& taxa, std::size_t prefix = 0) {
  std::size_t numbered = 0;
  for (std::size_t i = 0; i < taxa.count; ++i) {
    if (taxa.values[i].size() <= prefix) continue;
    if (taxon_number_at(taxa.values[i].substr(prefix)) == std::string_view::npos) return false;
    ++numbered;
  }
  return numbered > 0;
}

/// The name before the number. Empty where a rank has none, and MIDORI2 says of what it has none:
/// order_Insecta_50557.
std::string_view without_number(std::string_view taxon) {
  constexpr std::array<std::string_view, 7> kUnnamed = {"kingdom_", "phylum_", "class_",  "order_",
                                                        "family_",  "genus_",  "species_"};
  const std::string_view name = taxon.substr(0, taxon_number_at(taxon));
  for (const std::string_view rank : kUnnamed) {
    if (name.starts_with(rank)) return {};
  }
  return name;
}

constexpr std::string_view kSintaxKey = ";tax=";

bool is_sintax(std::string_view header) {
  return header.find(kSintaxKey) != std::string_view::npos;
}

/// Whether the taxonomy is in SINTAX's form.
bool parse_sintax(std::string_view header, Record& record) {
  record.id = first_word(trim(header.substr(0, header.find(';'))));
  std::string_view lineage = header.substr(header.find(kSintaxKey) + kSintaxKey.size());
  lineage = lineage.substr(0, lineage.find(';'));
  const Fields taxa = split(lineage, ',');
  const bool numbered = are_numbered(taxa, 2);
  bool understood = trim(lineage).empty();
  for (std::size_t i = 0; i < taxa.count; ++i) {
    const std::string_view taxon = taxa.values[i];
    if (taxon.size() < 2 || taxon[1] != ':') continue;
    understood = true;
    const std::string_view name = taxon.substr(2);
    set_by_letter(record, taxon[0], numbered ? without_number(name) : name);
  }
  // UTAX has a number there, which names a line of another file.
  return understood;
}

bool is_unite_taxon(std::string_view text) {
  return text.size() >= 3 && rank_of_letter(text[0]) && text.substr(1, 2) == "__";
}

bool is_species_hypothesis(std::string_view text) {
  return text.size() > 4 && text.starts_with("SH") && text[2] >= '0' && text[2] <= '9';
}

bool parse_unite(const Fields& fields, Record& record) {
  std::size_t lineage = 0;
  while (lineage < fields.count && !is_unite_taxon(fields.values[lineage])) ++lineage;
  if (lineage == fields.count || lineage == 0) return false;
  // The general release puts the species' name before the accession.
  record.id = fields.values[lineage >= 2 ? 1 : 0];
  const Fields taxa = split(fields.values[lineage], ';');
  for (std::size_t i = 0; i < taxa.count; ++i) {
    const std::string_view taxon = taxa.values[i];
    if (is_unite_taxon(taxon)) set_by_letter(record, taxon[0], taxon.substr(3));
  }
  for (std::size_t i = 0; i < fields.count; ++i) {
    if (is_species_hypothesis(fields.values[i])) set_label(record, Rank::kBin, fields.values[i]);
  }
  return true;
}

bool is_binomial(std::string_view text) { return text.find(' ') != std::string_view::npos; }

bool is_epithet(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return (c >= 'a' && c <= 'z') || c == '-'; });
}

bool is_genus(std::string_view text) {
  return text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z' && is_epithet(text.substr(1));
}

/// A name with spaces for underscores; empty for a placeholder such as not_classified.
std::string with_spaces(std::string_view text) {
  if (is_missing_label(text)) return {};
  std::string spaced(text);
  std::replace(spaced.begin(), spaced.end(), '_', ' ');
  return spaced;
}

/// processid|genus|species, the species with or without its genus, or processid|species and what
/// may follow. False when the second field is a name of some rank or other.
bool parse_bold(const Fields& fields, Record& record) {
  record.id = fields.values[0];
  const std::string second = with_spaces(fields.values[1]);
  std::string third = fields.count > 2 ? with_spaces(fields.values[2]) : std::string();
  if (!second.empty() && !is_genus(first_word(second)) && first_word(third) != second) return false;
  if (fields.count == 3 && is_epithet(third) && !is_missing_label(third) &&
      !is_missing_label(second) && !is_binomial(second)) {
    third = second + " " + third;
  }
  const auto set_species = [&](std::string_view name) {
    if (!names_no_species(name)) set_label(record, Rank::kSpecies, name);
    if (is_binomial(name)) set_label(record, Rank::kGenus, first_word(name));
  };
  if (is_binomial(second)) {
    set_species(second);
  } else if (fields.count == 2) {
    set_label(record, Rank::kGenus, second);
  } else if (fields.count == 3 && (is_missing_label(third) || is_binomial(third))) {
    set_species(third);
    set_label(record, Rank::kGenus, second);
  } else {
    return second.empty() && third.empty();
  }
  return true;
}

/// Names from the kingdom down to the species, at which an epithet may stand alone; before them an
/// id, by white space or MIDORI2's ###, and Root.
bool parse_lineage(std::string_view header, Record& record) {
  constexpr std::array<Rank, 7> kRanks = {Rank::kKingdom, Rank::kPhylum, Rank::kClass,
                                          Rank::kOrder,   Rank::kFamily, Rank::kGenus,
                                          Rank::kSpecies};
  constexpr std::ptrdiff_t kFewestSeparators = 3;
  if (header.find('=') != std::string_view::npos ||
      std::count(header.begin(), header.end(), ';') < kFewestSeparators) {
    return false;
  }
  constexpr std::string_view kMidoriMark = "###";
  const std::string_view head = header.substr(0, header.find(';'));
  const std::size_t mark = head.find(kMidoriMark), space = head.find_first_of(" \t");
  const bool marked = mark != std::string_view::npos;
  const bool named = !marked && space != std::string_view::npos;
  const std::string_view id = header.substr(0, marked ? mark : named ? space : 0);
  header = trim(header.substr(id.size() + (marked ? kMidoriMark.size() : 0)));
  for (const std::string_view root : {"Root;", "root_1;"}) {
    if (header.starts_with(root)) header.remove_prefix(root.size());
  }
  const Fields taxa = split(header, ';');
  const bool numbered = are_numbered(taxa);
  const std::string_view first = taxa.values[0];
  const bool lettered = is_unite_taxon(first);  // k__Fungi;p__…
  // Behind an id, text with semicolons may be anything.
  if (named && !lettered &&
      (first.empty() || first[0] < 'A' || first[0] > 'Z' ||
       first.find(' ') != std::string_view::npos)) {
    return false;
  }
  record.id = id;
  for (std::size_t i = 0; i < std::min(taxa.count, kRanks.size()); ++i) {
    const std::string_view taxon = numbered ? without_number(taxa.values[i]) : taxa.values[i];
    if (lettered) {
      if (is_unite_taxon(taxon)) set_by_letter(record, taxon[0], taxon.substr(3));
      continue;
    }
    if (kRanks[i] != Rank::kSpecies) {
      set_label(record, kRanks[i], taxon);
      continue;
    }
    const std::string& genus = record.label(Rank::kGenus);
    const std::string species = with_spaces(taxon);
    const bool alone = is_epithet(species) && !genus.empty();
    if (!names_no_species(species)) {
      set_label(record, Rank::kSpecies, alone ? fmt::format("{} {}", genus, species) : species);
    }
  }
  return true;
}

/// ">id Aus bus" and nothing else, as DADA2's assignSpecies expects it.
bool parse_binomial(std::string_view names, Record& record) {
  const Fields words = split(names, ' ');
  if (words.count != 2 || !is_genus(words.values[0])) return false;
  const std::string_view epithet = words.values[1];
  const bool none = epithet == "sp." || epithet == "sp";
  if (!none && !is_epithet(epithet)) return false;
  set_label(record, Rank::kGenus, words.values[0]);
  if (!none) set_label(record, Rank::kSpecies, names);
  return true;
}

}  // namespace

bool parse_fasta_header(std::string_view header, Record& record) {
  header = trim(header);
  record.id.clear();
  for (std::string& label : record.labels) label.clear();
  if (is_sintax(header)) return parse_sintax(header, record);
  if (header.find('|') != std::string_view::npos) {
    const Fields fields = split(header, '|');
    return parse_unite(fields, record) || parse_bold(fields, record);
  }
  if (parse_lineage(header, record)) return true;
  std::string_view id = header.substr(0, header.find_first_of(" \t"));
  const std::string_view rest = trim(header.substr(id.size()));
  // Annotations of vsearch: id;size=3;
  if (id.find('=') != std::string_view::npos) id = id.substr(0, id.find(';'));
  record.id = id;
  return rest.empty() || parse_binomial(rest, record);
}

}  // namespace barcodemae
