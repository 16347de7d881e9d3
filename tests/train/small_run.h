// SPDX-License-Identifier: MIT
// Data and options of pretrainings that take a second.
#pragma once

#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "sequence/writer.h"

namespace barcodemae {

/// `count` barcodes of 60 bases: copies of one of two random templates (the genera) with one base
/// in a hundred changed. What is masked can be told from what is visible, but not from its site.
inline void write_barcodes(const std::filesystem::path& path, int count) {
  std::mt19937 random(5);
  std::vector<std::string> templates(2, std::string(60, 'A'));
  for (std::string& sequence : templates) {
    for (char& base : sequence) base = "ACGT"[random() % 4];
  }
  std::vector<Record> records;
  for (int i = 0; i < count; ++i) {
    const std::size_t genus = random() % templates.size();
    Record record;
    record.id = "r" + std::to_string(i);
    record.sequence = templates[genus];
    for (char& base : record.sequence) {
      if (random() % 100 == 0) base = "ACGT"[random() % 4];
    }
    record.label(Rank::kClass) = "Insecta";
    record.label(Rank::kFamily) = "f" + std::to_string(genus);
    record.label(Rank::kGenus) = i % 7 == 0 ? "" : "g" + std::to_string(genus);
    record.label(Rank::kSpecies) = "s" + std::to_string(genus) + std::to_string(i % 3);
    record.split = i % 10 == 0   ? "val"
                   : i % 10 == 1 ? "val_unseen"
                   : i % 10 == 2 ? "train"
                                 : "pretrain";
    records.push_back(record);
  }
  RecordWriter writer(path);
  writer.write(writer.encode(records));
  writer.commit();
}

/// Options of a run that learns from them.
inline std::map<std::string, std::string> small_run_options() {
  return {{"preset", "tiny"},      {"k", "3"},           {"max-bases", "60"},
          {"max-positions", "20"}, {"width", "32"},      {"heads", "4"},
          {"feed-forward", "64"},  {"layers", "1"},      {"decoder-layers", "1"},
          {"batch", "16"},         {"micro-batch", "5"}, {"anchor", "none"},
          {"lr", "1e-2"},          {"dropout", "0.1"},   {"steps", "20"},
          {"validate-every", "7"}, {"log-every", "5"},   {"precision", "f32"},
          {"masked-weight", "0.9"}};
}

}  // namespace barcodemae
