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
///   DADA2        Kingdom;Phylum;Class;Order;Family;Genus;Species   (no id), id Aus bus
///   RDP, SILVA   id Root;Kingdom;Phylum;Class;Order;Family;Genus;Species, Root or not
/// Underscores in species names are read as spaces; "Aus sp." names no species; UNITE's SH (species
/// hypothesis) stands where others have a BIN. The id may stay empty. Returns false when text
/// behind the id is of none of these forms, so that labels may have been lost; vsearch's
/// annotations (;size=3) are none.
bool parse_fasta_header(std::string_view header, Record& record);

}  // namespace barcodemae
