// SPDX-License-Identifier: MIT
#include "train/run_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "temporary_folder.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

RunRecord make_record(const std::map<std::string, std::string>& given) {
  RunRecord record;
  record.version = "1.2.3";
  record.options = to_json(resolve_pretrain_options(given));
  record.data_file = "data.csv";
  record.data_fingerprint = "abc";
  record.profile_fingerprint = "none";
  record.total_steps = 10;
  record.validate_every = 5;
  record.log_every = 1;
  return record;
}

std::string difference(const RunRecord& begun, const RunRecord& now) {
  return user_error([&] { check_same_run(begun, now, "run"); });
}

TEST(RunDirectory, ReadsWhatItWrote) {
  const TemporaryFolder folder;
  const RunDirectory directory(folder / "a/run");
  EXPECT_FALSE(directory.read().has_value());
  RunRecord record = make_record({{"preset", "tiny"}, {"lr", "0.1"}});
  record.finished = true;
  record.result["best_step"] = 5;
  record.simd = "avx2";
  directory.write(record);
  const RunRecord read = directory.read().value();
  EXPECT_NO_THROW(check_same_run(record, read, "run"));
  EXPECT_EQ(nlohmann::json(read.options), nlohmann::json(record.options));
  EXPECT_EQ(read.total_steps, 10);
  EXPECT_TRUE(read.finished);
  EXPECT_EQ(read.simd, "avx2");
  EXPECT_EQ(read.result["best_step"], 5);
}

TEST(RunDirectory, NamesTheOptionThatDiffersWithBothValues) {
  const RunRecord begun = make_record({{"preset", "tiny"}, {"batch", "16"}});
  EXPECT_THAT(difference(begun, make_record({{"preset", "tiny"}, {"batch", "8"}})),
              AllOf(HasSubstr("--batch 16 there"), HasSubstr("--batch 8 now")));
  EXPECT_THAT(difference(begun, make_record({{"preset", "tiny"}, {"batch", "16"}, {"steps", "9"}})),
              AllOf(HasSubstr("no --steps there, --steps 9 now"), HasSubstr("--epochs 3.0 there")));
  EXPECT_NO_THROW(check_same_run(
      begun, make_record({{"preset", "tiny"}, {"batch", "16"}, {"checkpoint-minutes", "0.1"}}),
      "run"));
  RunRecord other = begun;
  other.data_fingerprint = "def";
  EXPECT_THAT(difference(begun, other), AllOf(HasSubstr("abc"), HasSubstr("def")));
  other = begun;
  other.version = "2.0.0";
  EXPECT_THAT(difference(begun, other), AllOf(HasSubstr("1.2.3"), HasSubstr("2.0.0")));
}

TEST(RunDirectory, FingerprintsAreOfWhatMayNotChange) {
  const RunRecord run = make_record({{"preset", "tiny"}});
  const auto fingerprint = [](const std::map<std::string, std::string>& given) {
    return run_fingerprint(make_record(given));
  };
  EXPECT_EQ(run_fingerprint(run), fingerprint({{"preset", "tiny"}, {"checkpoint-minutes", "9"}}));
  EXPECT_NE(run_fingerprint(run), fingerprint({{"preset", "tiny"}, {"seed", "9"}}));
  RunRecord other = run;
  other.data_fingerprint = "def";
  EXPECT_NE(run_fingerprint(run), run_fingerprint(other));
  other = run;
  other.total_steps = 11;  // --minutes, measured again
  EXPECT_NE(run_fingerprint(run), run_fingerprint(other));
}

TEST(RunDirectory, MessagesStayWithinSixLines) {
  EXPECT_THAT(difference(make_record({{"preset", "tiny"}}), make_record({{"preset", "base"}})),
              HasSubstr("--preset tiny there, --preset base now"));
}

TEST(RunDirectory, BelongsToOneProcessAtATime) {
  const TemporaryFolder folder;
  {
    const RunDirectory first(folder / "run");
    EXPECT_THROW(RunDirectory second(folder / "run"), UserError);
  }
  EXPECT_NO_THROW(RunDirectory again(folder / "run"));
}

TEST(RunDirectory, ClearsWhatAKilledProcessLeft) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "run/last.77.tmp");
  std::ofstream(folder / "run/model.safetensors.77.tmp") << "x";
  std::ofstream(folder / "run/notes") << "x";
  const RunDirectory directory(folder / "run");
  EXPECT_FALSE(std::filesystem::exists(folder / "run/last.77.tmp"));
  EXPECT_FALSE(std::filesystem::exists(folder / "run/model.safetensors.77.tmp"));
  EXPECT_TRUE(std::filesystem::exists(folder / "run/notes"));
}

TEST(RunDirectory, RefusesFoldersThatAreNotItsOwn) {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "x";
  EXPECT_THROW(RunDirectory(folder / "file"), UserError);
  std::filesystem::create_directory(folder / "model");
  std::ofstream(folder / "model/config.json") << "{}";
  EXPECT_THROW(RunDirectory(folder / "model"), UserError);
}

TEST(RunDirectory, RefusesNewerAndMalformedFiles) {
  const TemporaryFolder folder;
  const RunDirectory directory(folder / "run");
  nlohmann::ordered_json newer = to_json(make_record({{"preset", "tiny"}}));
  newer["format_version"] = 2;
  std::ofstream(directory.run_file()) << newer;
  EXPECT_THAT([&] { directory.read(); }, ThrowsMessage<UserError>(HasSubstr("newer")));
  for (const char* text : {"{\"format_version\": 1}", "{", ""}) {
    std::ofstream(directory.run_file()) << text;
    EXPECT_THROW(directory.read(), UserError) << text;
  }
}

}  // namespace
}  // namespace barcodemae
