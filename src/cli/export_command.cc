// SPDX-License-Identifier: MIT
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "backend/backends.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "formats/model_directory.h"
#include "interop/transformers_export.h"
#include "nn/encoder.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;

struct ExportOptions {
  std::string model, out, precision = "bf16", format = "barcodemae";
};

void run(const ExportOptions& options) {
  const fs::path directory = find_model(options.model);
  std::error_code ignored;
  if (fs::exists(options.out, ignored)) {
    throw UserError("--out {}: it is there already\nGive the name of a new folder.", options.out);
  }
  const ModelDescription description = read_model_description(directory);
  const std::unique_ptr<Backend> backend = make_backend("cpu");
  Parameters parameters(*backend);
  const Encoder encoder(parameters, description.config);
  parameters.allocate(/*training=*/false);
  load_encoder(directory, parameters);
  const WeightType type = options.precision == "int8"   ? WeightType::kInt8
                          : options.precision == "bf16" ? WeightType::kBFloat16
                                                        : WeightType::kFloat32;
  TransformersExport exported;
  write_directory_atomically(options.out, [&](const fs::path& folder) {
    if (options.format == "transformers") {
      exported = export_to_transformers(folder, directory, description, parameters, type);
    } else {
      write_model(folder, description, parameters, /*pretraining=*/false, type);
    }
  });
  const WeightSummary written = summarise_weights(options.out);
  log_info("{}: the encoder, {} parameters in {}, {}", options.out,
           format_count(written.parameters), written.type,
           format_bytes(static_cast<double>(written.bytes)));
  if (options.format != "transformers") {
    if (description.readout) {
      log_info("The readout is with it, in {}",
               type == WeightType::kFloat32 ? "float32" : "bfloat16");
    }
    return;
  }
  log_info("{}", exported.decoder
                     ? fmt::format("{}/decoder: projection, decoder and head", options.out)
                 : exported.head ? "The head is with it: a BertForTokenClassification"
                                 : "The model has no pretraining.safetensors: no decoder, no head");
  if ((exported.decoder || exported.head) && description.config.head == HeadKind::kBase) {
    log_warn("the logits lack each site's frequencies: add site_bias, of {}/{}", options.out,
             exported.decoder ? "decoder/projection.safetensors" : "site_bias.safetensors");
  }
  const KmerTokenizer& tokenizer = description.coder.tokenizer;
  if (!description.coder.bpe && tokenizer.stride() != tokenizer.vocabulary().k) {
    log_warn(
        "AutoTokenizer cannot cut {}-mers at a stride of {}, and refuses tokenizer.json: give the "
        "model ids of your own",
        tokenizer.vocabulary().k, tokenizer.stride());
  }
  if (!exported.left_out.empty())
    log_info("Left out, as transformers has no place for them: {}",
             fmt::join(exported.left_out, ", "));
}

}  // namespace

void add_export_command(CLI::App& application) {
  CLI::App& command = *application.add_subcommand(
      "export", "Copy a model's encoder alone, to share or to ship, or all of it for transformers");
  auto options = std::make_shared<ExportOptions>();
  command.add_option("MODEL", options->model, "Model folder, or the name of a shipped model")
      ->required();
  command.add_option("--out", options->out, "Folder to make")->required()->type_name("DIR");
  command
      .add_option(
          "--precision", options->precision,
          "Numbers of the encoder and a readout: f32 keeps every bit, bf16 halves the file, int8 "
          "halves it again (weights of products, a scale for each row; what embed "
          "--precision int8 computes with; transformers does not read it)")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}))
      ->capture_default_str();
  command
      .add_option("--format", options->format,
                  "barcodemae: the encoder, which transformers.BertModel loads; transformers: "
                  "decoder and head too, as BertForTokenClassification")
      ->check(CLI::IsMember({"barcodemae", "transformers"}))
      ->capture_default_str();
  add_common_options(command);
  command.footer(
      "Examples:\n"
      "  barcodemae export runs/small --out models/coi-small\n"
      "  barcodemae export runs/base --out shared/base --precision f32\n"
      "  barcodemae export coi-small --out coi-small-int8 --precision int8\n"
      "  barcodemae export runs/base --out base-torch --format transformers --precision f32");
  command.callback([options] { run(*options); });
}

}  // namespace barcodemae
