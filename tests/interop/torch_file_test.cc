// SPDX-License-Identifier: MIT
#include "interop/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "models.h"
#include "user_error.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

void read_tensors(const std::string& bytes) {
  const auto file = std::make_shared<const TorchFile>(std::as_bytes(std::span(bytes)), "x.pt");
  const auto model = file->pickle().find(file->pickle().root(), "model");
  const auto tensors = open_state_dict(file, model.value_or(file->pickle().root()));
  for (const auto& [name, shape] : tensors->shapes()) {
    if (!name.ends_with("position_ids")) tensors->floats(name);
  }
}

std::string torch_refusal(const std::string& bytes) {
  return user_error([&] { read_tensors(bytes); });
}

TEST(TorchFile, OpaqueThingsCanBeWalked) {
  const TorchFile file(kGolden + "maelm.pt");
  const Pickle& pickle = file.pickle();
  const auto config = pickle.find(pickle.root(), "config");
  ASSERT_TRUE(config);
  EXPECT_TRUE(pickle.is_call_of(*config, "argparse Namespace"));
  EXPECT_EQ(pickle[pickle.find(*config, "k_mer").value()].integer, 2);
  EXPECT_EQ(pickle[pickle.find(*config, "arch").value()].text, "maelm");
  EXPECT_EQ(pickle[pickle.find(*config, "lr").value()].real, 1e-4);
  const auto scheduler = pickle.find(pickle.root(), "scheduler");
  const auto function = pickle.find(scheduler.value(), "anneal_func");
  EXPECT_TRUE(pickle.is_call_of(function.value(), "__builtin__ getattr")) << "and was not called";
}

TEST(TorchFile, TruncatedOrDamagedIsRefused) {
  const std::string whole = read_file(kGolden + "maelm.pt");
  ASSERT_NO_THROW(read_tensors(whole));
  EXPECT_THAT(torch_refusal(""), HasSubstr("zip archive"));
  for (const std::size_t size : {whole.size() / 2, whole.size() - 1})
    EXPECT_THAT(torch_refusal(whole.substr(0, size)), HasSubstr("truncated"));
  // A flipped bit in the numbers of a tensor: the archive's checksum tells.
  std::string flipped = whole;
  flipped[whole.size() / 2] ^= 1;
  EXPECT_THAT(torch_refusal(flipped), HasSubstr("damaged"));
}

// tools/convert_checkpoint is the reference: torch itself reads the file.
TEST(TorchFile, AgreesWithTheConverter) {
  const char* chosen = std::getenv("BARCODEMAE_PYTHON");
  const std::string python = chosen && *chosen ? chosen : "python3";
  if (std::system((python + " -c 'import torch, safetensors' 2>/dev/null").c_str()) != 0)
    GTEST_SKIP() << "skipped: " << python
                 << " has no torch and safetensors; set BARCODEMAE_PYTHON to one that has";
  const TemporaryFolder temporary;
  for (const std::string name : {"maelm", "transformer", "maelm_whole", "legacy"}) {
    const fs::path converted = temporary.path() / name;
    const std::string tool = BARCODEMAE_TEST_DATA "/../tools/convert_checkpoint";
    ASSERT_EQ(
        std::system(
            (python + " " + tool + " " + kGolden + name + ".pt " + converted.string()).c_str()),
        0);
    // The legacy file is of the same model as maelm.pt.
    const std::string ours = kGolden + (name == "legacy" ? "maelm" : name) + ".pt";
    import_model(ours, temporary.path() / "ours");
    import_model(converted.string(), temporary.path() / "theirs");
    for (const char* file : {"model.safetensors", "tokenizer.json", "pretraining.safetensors"})
      EXPECT_TRUE(read_file(temporary.path() / "ours" / file) ==
                  read_file(temporary.path() / "theirs" / file))
          << name << ", " << file;
    fs::remove_all(temporary.path() / "ours");
    fs::remove_all(temporary.path() / "theirs");
  }
}

}  // namespace
}  // namespace barcodemae
