// SPDX-License-Identifier: MIT
#include "evaluation/table_cells.h"

#include <fmt/format.h>

#include <system_error>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/file_content.h"
#include "base/fingerprint.h"
#include "base/log.h"
#include "communication/collectives.h"

namespace barcodemae {
namespace fs = std::filesystem;
using nlohmann::ordered_json;
namespace {

constexpr int kFormatVersion = 1;

Rank rank_named(const std::string& name) {
  const std::optional<Rank> rank = parse_rank(name);
  if (!rank) throw UserError("no rank: {}", name);
  return *rank;
}

}  // namespace

ClassificationCell cell_of(const ClassificationScores& scores, std::int64_t train) {
  ClassificationCell cell;
  cell.train = train;
  cell.queries = scores.queries;
  cell.correct = scores.correct;
  cell.unreachable = scores.unreachable;
  cell.accuracy = scores.accuracy;
  cell.balanced_accuracy = scores.balanced_accuracy;
  cell.macro_f1 = scores.macro_f1;
  return cell;
}

void to_json(ordered_json& json, const ClassificationCell& cell) {
  json = {{"train", cell.train},       {"queries", cell.queries},
          {"correct", cell.correct},   {"label_not_among_keys", cell.unreachable},
          {"accuracy", cell.accuracy}, {"balanced_accuracy", cell.balanced_accuracy},
          {"macro_f1", cell.macro_f1}, {"val_accuracy", cell.validation_accuracy},
          {"seconds", cell.seconds},   {"wrong_but_right_at", ordered_json::array()}};
  for (const StillRight& count : cell.wrong) {
    json["wrong_but_right_at"].push_back(
        {{"rank", to_string(count.rank)}, {"compared", count.compared}, {"right", count.right}});
  }
}

void from_json(const ordered_json& json, ClassificationCell& cell) {
  json.at("train").get_to(cell.train);
  json.at("queries").get_to(cell.queries);
  json.at("correct").get_to(cell.correct);
  json.at("label_not_among_keys").get_to(cell.unreachable);
  json.at("accuracy").get_to(cell.accuracy);
  json.at("balanced_accuracy").get_to(cell.balanced_accuracy);
  json.at("macro_f1").get_to(cell.macro_f1);
  json.at("val_accuracy").get_to(cell.validation_accuracy);
  json.at("seconds").get_to(cell.seconds);
  cell.wrong.clear();
  for (const ordered_json& count : json.at("wrong_but_right_at")) {
    cell.wrong.push_back({rank_named(count.at("rank").get<std::string>()),
                          count.at("compared").get<std::int64_t>(),
                          count.at("right").get<std::int64_t>()});
  }
}

void to_json(ordered_json& json, const ClusteringCell& cell) {
  json = {{"records", cell.records},
          {"labels", cell.labels},
          {"clusters", cell.clusters},
          {"ami", cell.ami},
          {"ari", cell.ari},
          {"homogeneity", cell.homogeneity},
          {"completeness", cell.completeness},
          {"seconds", cell.seconds}};
}

void from_json(const ordered_json& json, ClusteringCell& cell) {
  json.at("records").get_to(cell.records);
  json.at("labels").get_to(cell.labels);
  json.at("clusters").get_to(cell.clusters);
  json.at("ami").get_to(cell.ami);
  json.at("ari").get_to(cell.ari);
  json.at("homogeneity").get_to(cell.homogeneity);
  json.at("completeness").get_to(cell.completeness);
  json.at("seconds").get_to(cell.seconds);
}

void to_json(ordered_json& json, const CostCell& cell) {
  json = {{"parameters", cell.parameters},
          {"gflop_per_barcode", cell.gflop},
          {"seconds_per_barcode", cell.seconds},
          {"barcodes", cell.barcodes}};
}

void from_json(const ordered_json& json, CostCell& cell) {
  json.at("parameters").get_to(cell.parameters);
  json.at("gflop_per_barcode").get_to(cell.gflop);
  json.at("seconds_per_barcode").get_to(cell.seconds);
  json.at("barcodes").get_to(cell.barcodes);
}

void to_json(ordered_json& json, const MapCell& cell) {
  json = {{"rank", cell.rank}, {"labels", cell.labels}, {"x", cell.x},
          {"y", cell.y},       {"label", cell.label},   {"records", cell.records}};
}

void from_json(const ordered_json& json, MapCell& cell) {
  json.at("rank").get_to(cell.rank);
  json.at("labels").get_to(cell.labels);
  json.at("x").get_to(cell.x);
  json.at("y").get_to(cell.y);
  json.at("label").get_to(cell.label);
  json.at("records").get_to(cell.records);
  if (cell.x.size() != cell.y.size() || cell.x.size() != cell.label.size()) {
    throw UserError("x, y and label are not in step");
  }
  for (const std::int32_t label : cell.label) {
    if (label < -1 || label >= static_cast<std::int32_t>(cell.labels.size())) {
      throw UserError("no label {}", label);
    }
  }
}

CellStore::CellStore(const fs::path& folder, Communicator& communicator)
    : folder_(folder), communicator_(communicator) {
  if (communicator.rank() != 0) return;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw UserError("cannot make the folder {}: {}\nName another with --out.", folder.string(),
                    error.message());
  }
}

fs::path CellStore::file(const std::string& task, const std::string& identity) const {
  Fingerprint name;
  name.add(identity);
  return folder_ / fmt::format("{}-{}.json", task, name.hex());
}

bool CellStore::found(const std::string& task, const std::string& identity,
                      const std::function<void(const ordered_json&)>& take) {
  bool taken = false;
  if (communicator_.rank() == 0) {
    const fs::path path = file(task, identity);
    if (const std::optional<std::string> text = file_content(path)) {
      try {
        const ordered_json json = ordered_json::parse(*text);
        if (json.at("format_version").get<int>() > kFormatVersion) {
          throw UserError("of a newer version of this program");
        }
        if (json.at("identity").get<std::string>() != identity) throw UserError("another cell");
        take(json.at("cell"));
        taken = true;
      } catch (const nlohmann::json::exception&) {
        log_warn("{}: damaged; computing this cell again", path.string());
      } catch (const UserError& error) {
        log_warn("{}: {}; computing this cell again", path.string(), error.what());
      }
    }
  }
  taken = from_root(communicator_, taken);
  if (taken) ++reused_;
  return taken;
}

void CellStore::keep(const std::string& task, const std::string& identity,
                     const ordered_json& cell) const {
  if (communicator_.rank() != 0) return;
  ordered_json json;
  json["format_version"] = kFormatVersion;
  json["task"] = task;
  json["identity"] = identity;
  json["cell"] = cell;
  write_file_atomically(file(task, identity),
                        json.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
}

}  // namespace barcodemae
