// SPDX-License-Identifier: MIT
#include "nn/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/error.h"
#include "nn/presets.h"
#include "user_error.h"

namespace barcodemae {
namespace {

TEST(Presets, AreValidAndKnown) {
  for (const std::string& name : preset_names()) EXPECT_NO_THROW(validate(preset(name))) << name;
  EXPECT_EQ(preset("base").encoder.width, 768);
  EXPECT_EQ(preset("small").decoder.layers, 2);
  EXPECT_THROW(preset("huge"), UserError);
}

TEST(Config, NamesWhatIsWrong) {
  const std::pair<const char*, std::function<void(ModelConfig&)>> faults[] = {
      {"encoder width", [](ModelConfig& c) { c.encoder.width = 0; }},
      {"decoder layers", [](ModelConfig& c) { c.decoder.layers = -1; }},
      {"encoder layers", [](ModelConfig& c) { c.encoder.layers = 1000; }},
      {"encoder heads", [](ModelConfig& c) { c.encoder.heads = 5; }},
      {"encoder heads", [](ModelConfig& c) { c.encoder.heads = 0; }},
      {"encoder head size", [](ModelConfig& c) { c.encoder.heads = 64; }},
      {"decoder head size", [](ModelConfig& c) { c.decoder.heads = 2; }},
      {"decoder feed-forward", [](ModelConfig& c) { c.decoder.feed_forward = 0; }},
      {"vocabulary", [](ModelConfig& c) { c.vocabulary = 4096; }},
      {"k is 0", [](ModelConfig& c) { c.k = 0; }},
      {"max positions", [](ModelConfig& c) { c.max_positions = 0; }},
      {"dropout", [](ModelConfig& c) { c.dropout = 1; }},
      {"dropout", [](ModelConfig& c) { c.dropout = NAN; }},
  };
  for (const auto& [words, fault] : faults) {
    ModelConfig config;
    fault(config);
    EXPECT_THAT(user_error([&] { validate(config); }), testing::HasSubstr(words));
  }
}

}  // namespace
}  // namespace barcodemae
