// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "sequence/record.h"

namespace barcodemae {

/// Takes id and labels from a FASTA or FASTQ header (without its '>' or '@') of one of these forms,
/// told by their shape; of anything else the id is the first word and there are no labels.
///   SINTAX       id;tax=k:Animalia,p:Arthropoda,…,s:Aus_bus;       (vsearch, USEARCH)
///   UNITE        accession|k__Fungi;…;s__Aus_bus|SH…FU, name|accession|SH…FU|type|k__Fungi;…
///   BarcodeBERT  processid|genus|species
///   BOLD         processid|Aus bus|COI-5P|accession, processid |Aus bus, processid |Aus
///   DADA2        Kingdom;Phylum;Class;Order;Family;Genus;Species   (no id)
/// Underscores in species names of SINTAX and UNITE are read as spaces; "Aus sp." names no species;
/// UNITE's SH (species hypothesis) stands where others have a BIN. The id may stay empty.
void parse_fasta_header(std::string_view header, Record& record);

}  // namespace barcodemae
