// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "barcodemae_version.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "data/anchor.h"
#include "data/splits.h"
#include "formats/json.h"
#include "formats/model_directory.h"
#include "formats/npy.h"
#include "inference/embed_stream.h"
#include "inference/embedding_writer.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;

struct EmbedCommandOptions {
  std::string model, data, out;
  std::string split, marker_code = ReaderOptions().marker_code, dtype = "float32";
  int batch = 0;
  std::string anchor = EmbedderOptions().anchor, pooling = EmbedderOptions().pooling;
  ComputeOptions compute;
};

/// X.npy brings X.tsv with it: neither may be what is being read.
void refuse_to_overwrite_input(const fs::path& data, const fs::path& out) {
  if (data == "-" || out == "-") return;
  for (const char* extension : {".npy", ".tsv", ".skipped.tsv", ".model.json"}) {
    refuse_to_overwrite(data, fs::path(out).replace_extension(extension));
  }
}

/// X.model.json: the evaluations refuse to compare vectors of different makers.
std::string maker(const EmbedCommandOptions& options, const fs::path& model, DType precision) {
  return json_document({{"format_version", 1},
                        {"version", BARCODEMAE_VERSION},
                        {"model", options.model},
                        {"model_fingerprint", model_fingerprint(model)},
                        {"pooling", options.pooling},
                        {"anchor", options.anchor},
                        {"precision", to_string(precision)}});
}

std::string records_text(std::size_t count) {
  return format_count(static_cast<std::int64_t>(count)) + (count == 1 ? " record" : " records");
}

void run(const EmbedCommandOptions& options, Communicator& communicator) {
  refuse_to_overwrite_input(options.data, options.out);
  std::vector<std::string> splits;
  if (!options.split.empty()) splits = parse_splits(options.split, "--split");
  if (options.data == "-" && communicator.size() > 1) {
    throw UserError("standard input reaches one process only, and {} read DATA\nGive a file.",
                    communicator.size());
  }
  const DType precision = options.compute.resolved(communicator);
  const fs::path directory = find_model(options.model);
  const ModelDescription description = read_model_description(directory);
  const std::int64_t batch_tokens = std::int64_t{options.batch} * description.coder.max_tokens();
  Embedder embedder = Embedder::load(directory, {precision, batch_tokens, options.compute.device,
                                                 options.anchor, options.pooling});
  print_compute_choice(options.compute, precision);

  RecordReader reader(options.data, {options.marker_code});
  const bool anchored = embedder.description().coder.profile.has_value();
  EmbeddingWriter::Columns columns{
      embedder.width(), reader.has_splits(), anchored,
      options.dtype == "float16" ? NpyType::kFloat16 : NpyType::kFloat32};
  std::optional<EmbeddingWriter> writer;
  if (communicator.rank() == 0) {
    if (fs::path(options.out).extension() == ".npy") {
      columns.maker = maker(options, directory, precision);
    }
    writer.emplace(options.out, columns);
  }
  const EmbedStreamResult result = embed_stream(
      embedder, reader, {splits},
      [&](const Record& record, const Placement& placement, std::span<const float> vector) {
        writer->append(record, placement, vector);
      },
      communicator);
  if (!writer) return;
  writer->commit(result.skips);

  const std::string source = options.data == "-" ? "standard input" : options.data;
  if (const std::string summary = reader.report().summary(source); !summary.empty())
    log_info("{}", summary);
  if (anchored) {
    const std::string text =
        result.unexplained == 0
            ? std::string("All records lie in the model's marker")
            : fmt::format(
                  "{} do not lie in the model's marker (anchored: no); they were embedded "
                  "as they are, and their vectors mean nothing",
                  records_text(static_cast<std::size_t>(result.unexplained)));
    const auto most = static_cast<double>(result.embedded) * (1 - kAnchorShare);
    static_cast<double>(result.unexplained) > most ? log_warning(text) : log_message(text);
  }
  if (!result.skips.empty() && !writer->skipped_path().empty())
    log_warn("{} that could not be embedded: see {}", records_text(result.skips.size()),
             writer->skipped_path().string());
  if (options.out != "-")
    log_info("{} vectors of {} dimensions in {}", format_count(result.embedded), embedder.width(),
             options.out);
}

}  // namespace

void add_embed_command(CLI::App& application, Communicator& communicator) {
  CLI::App& command = *application.add_subcommand("embed", "Turn barcodes into vectors by a model");
  auto options = std::make_shared<EmbedCommandOptions>();
  command.add_option("MODEL", options->model, "Model folder, or the name of a shipped model")
      ->required();
  command
      .add_option("DATA", options->data,
                  "Barcodes: FASTA, FASTQ, CSV or TSV, plain, .gz or .zst; - for standard input")
      ->required();
  command
      .add_option("--out", options->out,
                  "X.npy (ids and labels go to X.tsv, what made it to X.model.json), X.tsv, or - "
                  "for TSV on standard output; records "
                  "that cannot be embedded are listed in X.skipped.tsv")
      ->required();
  command.add_option("--dtype", options->dtype, "Numbers of X.npy: float16 halves the file")
      ->check(CLI::IsMember({"float32", "float16"}))
      ->capture_default_str();
  command.add_option("--split,--splits", options->split,
                     "Only records of this split, or of several joined with +; default: all");
  add_anchor_option(command, options->anchor);
  add_pooling_option(command, options->pooling);
  add_marker_code_option(command, options->marker_code);
  whole(command
            .add_option("--batch", options->batch,
                        "Full-length barcodes per forward pass, without influence on the vectors; "
                        "0: as many as keep the device busy")
            ->capture_default_str(),
        0, 65536);
  add_compute_options(command, options->compute);
  add_common_options(command);
  command.footer(
      "Examples:\n"
      "  barcodemae embed coi-small barcodes.fasta.gz --out barcodes.npy\n"
      "  barcodemae embed runs/small coi.csv.zst --split test_unseen --out test_unseen.npy\n"
      "  barcodemae embed coi-small barcodes.csv --pooling segments:8 --out places.npy\n"
      "  zcat barcodes.fasta.gz | barcodemae embed coi-small - --out - > vectors.tsv");
  command.callback([options, &communicator] { run(*options, communicator); });
}

}  // namespace barcodemae
