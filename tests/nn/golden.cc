// SPDX-License-Identifier: MIT
#include "golden.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace barcodemae {

Golden::Golden(const std::string& name)
    : file(std::string(BARCODEMAE_TEST_DATA) + "/golden/" + name + ".safetensors") {
  const auto integer = [&](const std::string& key) { return static_cast<int>(number(key)); };
  const auto transformer = [&](const std::string& part) -> TransformerConfig {
    return {.width = integer(part + "_width"),
            .layers = integer(part + "_layers"),
            .heads = integer(part + "_heads"),
            .feed_forward = integer(part + "_feed_forward")};
  };
  if (const auto named = file.metadata().find("objective"); named != file.metadata().end()) {
    for (const ObjectiveKind objective :
         {ObjectiveKind::kMaskedAutoencoderSeeing, ObjectiveKind::kMaskedLanguageModel,
          ObjectiveKind::kCausalLanguageModel}) {
      if (named->second == to_string(objective)) config.objective = objective;
    }
  }
  if (file.metadata().contains("frozen_mask_row")) {
    config.freeze_mask_row = integer("frozen_mask_row") != 0;
  }
  config.encoder = transformer("encoder");
  config.decoder = transformer("decoder");
  config.k = integer("k");
  config.vocabulary = config.kmers() + 2;
  config.max_positions = integer("max_positions");
  config.dropout = 0;
  config.head = integer("base_head") != 0 ? HeadKind::kBase : HeadKind::kKmer;
  masked_weight = number("masked_weight");

  batch.ids = integers("ids");
  batch.positions = integers("positions");
  batch.begins = integers("begins");
  batch.records = integers("records");
  plan.encoder_rows = integers("encoder_rows");
  plan.encoder_begins = integers("encoder_begins");
  plan.masked_rows = integers("masked_rows");
  plan.visible_rows = integers("visible_rows");
  if (file.contains("seen_ids")) plan.ids = integers("seen_ids");
  counts = {static_cast<std::int64_t>(plan.masked_rows.size()),
            static_cast<std::int64_t>(plan.visible_rows.size())};
}

std::vector<std::int32_t> Golden::integers(const std::string& name) const {
  const auto bytes = file.bytes(name);
  std::vector<std::int32_t> values(bytes.size() / sizeof(std::int32_t));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

void Golden::load_weights(Parameters& parameters) const {
  for (const auto& [name, rows, cols, matmul] : parameters.names()) {
    parameters.upload(name, floats("weights/" + name, rows, cols));
  }
}

double largest(const std::vector<float>& values) {
  double most = 0;
  for (const float value : values) most = std::max(most, std::abs(double{value}));
  return most;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double most = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double difference = std::abs(double{a[i]} - double{b[i]});
    most = std::isnan(difference) ? INFINITY : std::max(most, difference);
  }
  return most;
}

}  // namespace barcodemae
