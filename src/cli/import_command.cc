// SPDX-License-Identifier: MIT
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "backend/backends.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "interop/foreign_model.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;

struct ImportCommandOptions {
  std::string source, out;
  ImportOptions model;
};

const char* describe(ForeignModel::Pretraining pretraining) {
  switch (pretraining) {
    case ForeignModel::Pretraining::kNone:
      return "the encoder";
    case ForeignModel::Pretraining::kHead:
      return "the encoder and its head for masked tokens";
    case ForeignModel::Pretraining::kAutoencoder:
      return "encoder, projection, decoder and head";
  }
  return "";
}

void run(const ImportCommandOptions& options) {
  std::error_code ignored;
  if (fs::exists(options.out, ignored))
    throw UserError("{}: it is there already\nGive the name of a new folder.", options.out);
  const ForeignModel model(options.source, options.model);
  const auto backend = make_backend("cpu");
  Parameters parameters(*backend);
  model.declare(parameters);
  parameters.allocate(/*training=*/false);
  model.load(parameters);
  const bool pretraining = model.pretraining() != ForeignModel::Pretraining::kNone;
  write_directory_atomically(options.out, [&](const fs::path& folder) {
    write_model(folder, model.description(), parameters, pretraining);
    read_model_description(folder);  // what is written can be read
  });
  const SequenceCoder& coder = model.description().coder;
  log_info("{}: {}, {} parameters; {}", options.out, describe(model.pretraining()),
           format_count(parameters.count()),
           coder.bpe ? fmt::format("byte pairs, {} tokens at most", coder.max_tokens())
                     : fmt::format("{}-mers{}, stride {}, {} bases at most{}",
                                   coder.tokenizer.vocabulary().k,
                                   coder.tokenizer.vocabulary().n_kmers ? " (with N too)" : "",
                                   coder.tokenizer.stride(), coder.tokenizer.max_bases(),
                                   model.description().config.cls ? ", behind [CLS]" : ""));
  if (!model.left_out().empty()) {
    constexpr std::size_t kShown = 4;
    const auto& names = model.left_out();
    const std::vector<std::string> shown(
        names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(kShown, names.size())));
    log_info("Left out, as the engine has no place for them: {}{}", fmt::join(shown, ", "),
             names.size() > kShown ? fmt::format(" and {} more", names.size() - kShown) : "");
  }
}

}  // namespace

void add_import_command(CLI::App& application) {
  CLI::App& command = *application.add_subcommand(
      "import", "Make a model folder of BarcodeBERT's or BarcodeMAE's weights");
  auto options = std::make_shared<ImportCommandOptions>();
  command
      .add_option("SOURCE", options->source,
                  "Folder with config.json and model.safetensors, or a checkpoint (.pt); nothing "
                  "in it is executed")
      ->required();
  command.add_option("OUT", options->out, "Folder to make")->required();
  whole(command.add_option("--k", options->model.k, "Bases in a k-mer, where no file says it"), 1,
        KmerVocabulary::kMaxK);
  whole(command.add_option("--stride", options->model.stride,
                           "Bases from one k-mer to the next, where no file says it [k]"),
        1, 660);
  whole(command.add_option("--max-bases", options->model.max_bases,
                           "Bases of a barcode that are used, where no file says it [660]"),
        1, 100'000);
  command
      .add_option(
          "--tokenizer", options->model.tokenizer,
          "tokenizer.json that belongs to the weights: a vocabulary of k-mers or byte pairs")
      ->type_name("FILE");
  command.add_flag("--cls", options->model.cls,
                   "Sequences begin with the [CLS] of the vocabulary, where no file says it");
  add_common_options(command);
  command.footer(
      "Examples:\n"
      "  barcodemae import best_pretraining.pt models/barcodemae\n"
      "  barcodemae import BarcodeBERT/ models/barcodebert --k 4\n"
      "  barcodemae import bpe.pt models/bpe --tokenizer bpe_barcode_512/tokenizer.json");
  command.callback([options] { run(*options); });
}

}  // namespace barcodemae
