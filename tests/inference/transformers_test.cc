// SPDX-License-Identifier: MIT
// A model directory of ours, as it lies, in the hands of Python's transformers: values, not calls.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "backend/backends.h"
#include "data/batch.h"
#include "formats/model_directory.h"
#include "formats/safetensors.h"
#include "nn/encoder.h"
#include "temporary_folder.h"
#include "tiny_model.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;

std::string python() {
  const char* chosen = std::getenv("BARCODEMAE_PYTHON");
  return chosen && *chosen ? chosen : "python3";
}

constexpr int kPackageMissing = 77;  // the script's word for it

int exit_code(const std::string& command) {
  const int status = std::system((command + " 2>&1").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::vector<float> hidden_states(Backend& backend, const Encoder& encoder,
                                 const TokenSequence& tokens) {
  PackedBatch batch;
  batch.append(tokens, 0);
  Arena arena(backend);
  Context context{backend, arena};
  const auto run = [&] {
    const Segments segments = make_segments(context, batch.begins, batch.records, batch.positions);
    return encoder(context, context.upload(batch.ids), segments);
  };
  arena.begin_measuring();
  run();
  arena.reserve(arena.end_measuring());
  const Tensor hidden = run();
  std::vector<float> values(static_cast<std::size_t>(hidden.view.size()));
  backend.download(values.data(), hidden.view);
  return values;
}

/// The model as it lies gives our ids and hidden states.
void expect_our_values(const ModelDescription& description) {
  const SequenceCoder& coder = description.coder;
  auto backend = make_reference_backend();
  Parameters parameters(*backend);
  const Encoder encoder(parameters, description.config);
  parameters.allocate(false);
  parameters.initialise(9);
  // Fresh biases and LayerNorms are zeros and ones, which would hide a mix-up of names.
  std::uint32_t tensors = 0;
  for (const auto& tensor : parameters.names()) {
    std::vector<float> values = parameters.download(tensor.name);
    RandomSequence random(1, Stream::kInitialisation, 0, tensors++);
    for (float& value : values) value += static_cast<float>(0.1 * random.normal());
    parameters.upload(tensor.name, values);
  }

  // Sequences as files have them beside their normalised form, which our tokens are made from; then
  // tokens with positions of their own, as anchored models have them.
  std::vector<TokenSequence> expected;
  nlohmann::json inputs = nlohmann::json::array();
  const auto add = [&](const std::string& raw, const std::string& normalised) {
    inputs.push_back({{"sequence", raw}});
    expected.push_back(coder.encode(normalised));
  };
  add("acguacg-ttRN acn", "ACGTACGTTRNACN");
  add("ACGTNNNNNN", "ACGT");
  add("", "");
  add("AC", "AC");
  add("ACnnnncgt", "ACNNNNCGT");
  for (const std::string& sequence : odd_sequences(60)) add(sequence, sequence);
  expected.push_back({{2, 65, 1, 30}, {3, 4, 17, 63}});
  inputs.push_back({{"ids", expected.back().ids}, {"positions", expected.back().positions}});

  const TemporaryFolder folder;
  const std::pair<fs::path, WeightType> models[] = {{folder / "float32", WeightType::kFloat32},
                                                    {folder / "bfloat16", WeightType::kBFloat16}};
  std::string command =
      fmt::format("HF_HUB_OFFLINE=1 {} {}/inference/transformers_parity.py {}/inputs.json",
                  python(), BARCODEMAE_TEST_DATA, folder.path().string());
  for (const auto& [model, type] : models) {
    fs::create_directories(model);
    write_model(model, description, parameters, false, type);
    command += " " + model.string();
  }
  std::ofstream(folder / "inputs.json") << inputs;
  const int code = exit_code(command);
  if (code == kPackageMissing || code == 127)
    GTEST_SKIP()
        << "skipped: " << python()
        << " has no torch, transformers and safetensors; set BARCODEMAE_PYTHON to one that has";
  ASSERT_EQ(code, 0) << command;

  for (const auto& [model, type] : models) {
    load_encoder(model, parameters);
    const SafetensorsFile results(model / "out.safetensors");
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const std::string number = std::to_string(i);
      const auto bytes = results.bytes("ids." + number);
      std::vector<std::int32_t> ids(bytes.size() / sizeof(std::int32_t));
      if (!bytes.empty()) std::memcpy(ids.data(), bytes.data(), bytes.size());
      // Of nothing, transformers makes a [CLS] all the same.
      if (expected[i].ids.empty() && description.config.cls) continue;
      ASSERT_EQ(ids, expected[i].ids) << inputs[i];
      if (ids.empty()) continue;
      const int width = description.config.encoder.width;
      const std::vector<float> theirs =
          results.floats("hidden." + number, static_cast<std::int64_t>(ids.size()), width);
      const std::vector<float> ours = hidden_states(*backend, encoder, expected[i]);
      for (std::size_t j = 0; j < ours.size(); ++j)
        ASSERT_NEAR(ours[j], theirs[j], 1e-5) << "sequence " << i << ", element " << j;
    }
  }
}

TEST(Transformers, BertModelAndAutoTokenizerGiveOurValues) {
  expect_our_values(tiny_description());
}

TEST(Transformers, ACausalModelIsCausalThereToo) {
  ModelDescription description = tiny_description();
  description.config.objective = ObjectiveKind::kCausalLanguageModel;
  expect_our_values(description);
}

TEST(Transformers, ClsAndKmersWithNAreTheSameThere) {
  ModelDescription description = tiny_description();
  KmerVocabulary vocabulary{3, {"[MASK]", "[UNK]", "[CLS]"}};
  vocabulary.n_kmers = true;
  description.config.cls = description.config.n_kmers = true;
  description.config.vocabulary = vocabulary.size();
  description.coder.tokenizer = KmerTokenizer(vocabulary, 3, 90);
  expect_our_values(description);
}

}  // namespace
}  // namespace barcodemae
