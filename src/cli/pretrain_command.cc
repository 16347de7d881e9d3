// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backend/backends.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/until_signal.h"
#include "nn/presets.h"
#include "train/pretrain.h"

namespace barcodemae {
namespace {

struct PretrainCommand {
  std::string data, out;
  std::map<std::string, std::string> given;  ///< options by name, as text
};

/// A field's default for --help: one value, or one for each preset.
std::string default_text(const PretrainField& field, const std::vector<PretrainOptions>& presets) {
  if (field.name == "preset") return fmt::format(" [{}]", PretrainOptions{}.preset);
  std::string all;
  std::set<std::string> distinct;
  for (const PretrainOptions& preset : presets) {
    const nlohmann::json value = field.value(preset);
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    distinct.insert(text);
    all += fmt::format("{}{} {}", all.empty() ? "" : ", ", preset.preset, text);
  }
  if (distinct.size() > 1) return fmt::format(" [{}]", all);
  const std::string& only = *distinct.begin();
  return only.empty() || only == "null" ? "" : fmt::format(" [{}]", only);
}

void run(const PretrainCommand& command, Communicator& communicator) {
  PretrainOptions options = resolve_pretrain_options(command.given);
  options.precision = precision_of_run(command.out, options.precision, communicator);
  const ComputeOptions compute{options.precision, options.device};
  const DType activation = compute.resolved(communicator);
  options.precision = precision_name(activation);
  print_compute_choice(compute, activation);
  const std::unique_ptr<Backend> backend = make_backend(options.device);
  const std::unique_ptr<Communicator> gpus = join_gpus(*backend, communicator);

  until_signal([&](const StopRequest& stop) {
    const PretrainOutcome outcome = pretrain(command.data, command.out, options, *backend,
                                             activation, stop, gpus ? *gpus : communicator);
    return outcome == PretrainOutcome::kInterrupted ? std::nullopt : std::optional(outcome);
  });
}

}  // namespace

void add_pretrain_command(CLI::App& application, Communicator& communicator) {
  CLI::App* command =
      application.add_subcommand("pretrain", "Pretrain a BarcodeMAE on a file of barcodes");
  add_common_options(*command);
  auto options = std::make_shared<PretrainCommand>();
  command
      ->add_option("DATA", options->data, "Barcodes: FASTA, FASTQ, CSV or TSV, plain, .gz or .zst")
      ->required();
  command
      ->add_option("--out", options->out,
                   "Folder of the run and its model; the same command again resumes it")
      ->required()
      ->type_name("DIR");
  std::vector<PretrainOptions> presets;
  for (const std::string& name : preset_names()) {
    presets.push_back(resolve_pretrain_options({{"preset", name}}));
  }
  for (const PretrainField& field : pretrain_fields()) {
    const auto set = [options, name = field.name](const std::string& text) {
      std::string& all = options->given[name];
      all += (all.empty() ? "" : ",") + text;
    };
    if (field.flag) {
      command
          ->add_flag_callback(
              "--" + field.name, [set] { set("true"); }, field.help)
          ->group(field.group);
      continue;
    }
    if (field.repeatable) {
      command
          ->add_option_function<std::vector<std::string>>(
              "--" + field.name,
              [set](const std::vector<std::string>& texts) {
                for (const std::string& text : texts) set(text);
              },
              field.help)
          ->type_name(field.value_name)
          ->type_size(1)
          ->allow_extra_args(false)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
          ->group(field.group);
      continue;
    }
    command
        ->add_option_function<std::string>(
            "--" + field.name,
            [options, name = field.name](const std::string& text) { options->given[name] = text; },
            field.help + default_text(field, presets))
        ->type_name(field.value_name)
        ->group(field.group);
  }
  command->footer(
      "Examples:\n"
      "  barcodemae pretrain barcodes.csv.zst --out run --minutes 30\n"
      "  barcodemae pretrain barcodes.csv.zst --out paper --preset base --anchor none\n"
      "  barcodemae pretrain barcodes.csv.zst --out bert --objective mlm --minutes 30\n"
      "Killed or interrupted, the same command goes on and ends with the same weights. A finished\n"
      "DIR holds the model with the highest token accuracy, DIR/last the last one.");
  command->callback([options, &communicator] { run(*options, communicator); });
}

}  // namespace barcodemae
