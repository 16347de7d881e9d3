// SPDX-License-Identifier: MIT
#include "train/pretrain_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "user_error.h"

namespace barcodemae {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string error_of(const std::map<std::string, std::string>& given) {
  return user_error([&] { resolve_pretrain_options(given); });
}

TEST(PretrainOptions, BaseIsThePaper) {
  const PretrainOptions base = resolve_pretrain_options({{"preset", "base"}});
  EXPECT_EQ(base.model.encoder.width, 768);
  EXPECT_EQ(base.model.decoder.layers, 6);
  EXPECT_EQ(base.model.decoder.width, 768);
  EXPECT_EQ(base.model.head, HeadKind::kKmer);
  EXPECT_EQ(base.masking, MaskingScheme::kBernoulli);
  EXPECT_DOUBLE_EQ(base.lr, 1e-4);  // 1e-4 · 64 / 64
  EXPECT_DOUBLE_EQ(base.epochs, 45);
  EXPECT_DOUBLE_EQ(base.weight_decay, 1e-5);
  EXPECT_EQ(base.clip, 0);
  const PretrainOptions larger = resolve_pretrain_options({{"preset", "base"}, {"batch", "256"}});
  EXPECT_DOUBLE_EQ(larger.lr, 4e-4);
  EXPECT_DOUBLE_EQ(larger.schedule.peak, 4e-4);
}

TEST(PretrainOptions, ValuesGivenReplaceThePresets) {
  const PretrainOptions options = resolve_pretrain_options({{"preset", "tiny"},
                                                            {"k", "4"},
                                                            {"width", "32"},
                                                            {"heads", "2"},
                                                            {"steps", "7"},
                                                            {"head", "kmer"},
                                                            {"schedule", "cosine"}});
  EXPECT_EQ(options.model.vocabulary, 258);
  EXPECT_EQ(options.stride, 4);
  EXPECT_EQ(options.model.decoder.width, 32);
  EXPECT_EQ(options.model.decoder.heads, 2);
  EXPECT_EQ(options.steps, 7);
  EXPECT_EQ(options.epochs, 0);
  EXPECT_EQ(options.model.head, HeadKind::kKmer);
  EXPECT_DOUBLE_EQ(options.schedule.warmup, 0.05);
}

TEST(PretrainOptions, EveryFieldSaysItsNameWhenTheValueMakesNoSense) {
  for (const PretrainField& field : pretrain_fields()) {
    for (const char* text : {"", "nonsense value", "-1", "nan", "inf", "1e400"}) {
      PretrainOptions options;
      const bool free_text = field.name == "splits" || field.name == "anchor" ||
                             field.name == "marker-code" || field.name == "tokenizer" ||
                             field.name == "auxiliary" || field.name == "balanced-batches";
      if (free_text && *text != '\0') continue;
      EXPECT_THAT(user_error([&] { field.parse(options, text); }),
                  AllOf(HasSubstr("--" + field.name), HasSubstr("expected")))
          << "'" << text << "'";
    }
  }
}

TEST(PretrainOptions, EveryFieldReadsWhatItWrites) {
  const PretrainOptions options =
      resolve_pretrain_options({{"preset", "base"}, {"minutes", "2.5"}, {"seed", "7"}});
  int changed = 0;
  for (const PretrainField& field : pretrain_fields()) {
    const nlohmann::json value = field.value(options);
    if (value.is_null() || value == "") continue;
    PretrainOptions fresh = resolve_pretrain_options({{"preset", "tiny"}});
    if (field.value(fresh) != value) ++changed;
    field.parse(fresh, value.is_string() ? value.get<std::string>() : value.dump());
    EXPECT_EQ(field.value(fresh), value) << field.name;
  }
  EXPECT_GT(changed, 10) << "what is the same before says nothing";
}

TEST(PretrainOptions, CombinationsThatMakeNoSenseAreRefused) {
  EXPECT_THAT(error_of({{"epochs", "1"}, {"minutes", "2"}}), HasSubstr("exclude each other"));
  EXPECT_THAT(error_of({{"petaflops", "1"}, {"steps", "2"}}), HasSubstr("exclude each other"));
  EXPECT_THAT(error_of({{"batch", "8"}, {"micro-batch", "9"}}), HasSubstr("--micro-batch 9"));
  EXPECT_THAT(error_of({{"k", "1"}}), HasSubstr("--max-positions"));
  EXPECT_THAT(error_of({{"width", "100"}, {"heads", "3"}}), HasSubstr("heads"));
  EXPECT_THAT(error_of({{"preset", "huge"}}), HasSubstr("huge"));
  EXPECT_THAT(error_of({{"objective", "mlm"}, {"decoder-layers", "2"}}),
              HasSubstr("--decoder-layers: --objective mlm has no decoder"));
  const auto with = [](const std::string& name, const std::string& value) {
    return error_of({{name, value}});
  };
  EXPECT_THAT(with("auxiliary", "genus:supcon:0.1"), HasSubstr("contrastive, contrastive-others"));
  EXPECT_THAT(with("auxiliary", "tribe:pair:0.1"), HasSubstr("a rank such as genus"));
  EXPECT_THAT(with("auxiliary", "genus:pair"), HasSubstr("RANK:LOSS:WEIGHT"));
  EXPECT_THAT(with("auxiliary", "genus:pair:-1"), HasSubstr("RANK:LOSS:WEIGHT"));
  EXPECT_THAT(with("temperature", "0.1"), HasSubstr("no contrastive loss"));
  EXPECT_THAT(with("balanced-batches", "16x4"), HasSubstr("no auxiliary loss"));
  EXPECT_THAT(with("pooling", "cls"), HasSubstr("--cls"));
  EXPECT_THAT(with("predict-n", "true"), HasSubstr("--tokenize-n"));
  EXPECT_THAT(with("auxiliary", "genus:pair:1,genus:pair:2"), HasSubstr("there already"));
  EXPECT_THAT(with("mask-schedule", "cosine"), HasSubstr("without --mask-ratio-final"));
  EXPECT_THAT(with("mask-ratio-final", "0"), HasSubstr("--mask-ratio-final 0: expected"));
  EXPECT_THAT(with("margin", "0"), HasSubstr("--margin 0: expected a number above 0"));
  EXPECT_THAT(with("temperature", "0"), HasSubstr("--temperature 0: expected a number above 0"));
  EXPECT_THAT(with("auxiliary", "species:contrastive-others:1"), HasSubstr("a rank above species"));
  EXPECT_THAT(error_of({{"schedule", "onecycle"}, {"beta1", "0.5"}}),
              HasSubstr("--beta1: --schedule onecycle moves"));
  EXPECT_THAT(error_of({{"schedule", "cosine"}, {"cycle-beta1-high", "0.5"}}),
              HasSubstr("--cycle-beta1-high: of --schedule onecycle alone"));
  EXPECT_THAT(with("soft-sharpness", "2"), HasSubstr("no --soft-targets"));
  EXPECT_THAT(error_of({{"tokenizer", "pairs.json"}, {"anchor", "none"}, {"max-bases", "500"}}),
              HasSubstr("--max-bases: byte pairs"));
  EXPECT_THAT(with("unmasked-tail", "0.1"), HasSubstr("nothing to learn"));
  EXPECT_THAT(with("freeze-mask-row", "true"), HasSubstr("never meets [MASK]"));
  EXPECT_THAT(with("soft-targets", "levenshtein"), HasSubstr("--head kmer"));
  EXPECT_THAT(error_of({{"objective", "causal"}, {"cls", "true"}}), HasSubstr("--cls"));
  EXPECT_THAT(error_of({{"random-share", "0.7"}, {"keep-share", "0.7"}}),
              HasSubstr("more than 1 together"));
  const std::map<std::string, std::string> triplet = {{"auxiliary", "genus:triplet:1"}};
  auto small_pieces = triplet, unbalanced = triplet;
  small_pieces["micro-batch"] = "8";
  unbalanced["balanced-batches"] = "32x4";
  EXPECT_THAT(error_of(small_pieces), HasSubstr("needs the whole --batch 64"));
  EXPECT_THAT(error_of(unbalanced), HasSubstr("more than --batch 64"));
  EXPECT_NO_THROW(resolve_pretrain_options(triplet));
  EXPECT_THAT(error_of({{"objective", "causal"}, {"mask-ratio", "0.2"}}),
              HasSubstr("--mask-ratio: --objective causal masks nothing"));
}

TEST(PretrainOptions, AGpuTakesWholeBatchesUnlessItIsTold) {
  const auto micro_batch = [](std::map<std::string, std::string> given) {
    given.insert({{"preset", "base"}, {"batch", "512"}});
    return resolve_pretrain_options(given).micro_batch;
  };
  EXPECT_EQ(micro_batch({}), 32);
  EXPECT_EQ(micro_batch({{"device", "cuda:1"}}), 512);
  EXPECT_EQ(micro_batch({{"device", "cuda"}, {"micro-batch", "64"}}), 64);
}

TEST(PretrainOptions, SpansBeginAtTheFirstKmer) {
  const auto first = [](const char* cls) {
    return resolve_pretrain_options({{"cls", cls}, {"max-positions", "128"}, {"mask-span", "3"}})
        .masking_rules()
        .first_position;
  };
  EXPECT_EQ(first("false"), 0);
  EXPECT_EQ(first("true"), 1);
}

TEST(PretrainOptions, TheMaskRatioTakesItsCourse) {
  const auto ratio = [](const std::map<std::string, std::string>& given, std::int64_t step) {
    return resolve_pretrain_options(given).masking_rules(step, 100).ratio;
  };
  std::map<std::string, std::string> given = {{"mask-ratio", "0.2"}, {"mask-ratio-final", "0.6"}};
  EXPECT_DOUBLE_EQ(ratio(given, 0), 0.2);
  EXPECT_DOUBLE_EQ(ratio(given, 25), 0.3);
  given["mask-schedule"] = "cosine";
  EXPECT_NEAR(ratio(given, 25), 0.2 + 0.4 * (1 - std::sqrt(0.5)) / 2, 1e-12);
  EXPECT_NEAR(ratio(given, 50), 0.4, 1e-12);
  given["masked-weight"] = "0.9";
  given["unmasked-tail"] = "0.2";
  EXPECT_NEAR(ratio(given, 40), 0.4, 1e-12) << "half of the masked part";
  EXPECT_GT(ratio(given, 79), 0.59);
  EXPECT_EQ(ratio(given, 80), 0);
  EXPECT_EQ(resolve_pretrain_options(given).mask_ratio_range(), (std::pair{0.0, 0.6}));
}

}  // namespace
}  // namespace barcodemae
