// SPDX-License-Identifier: MIT
// The real program: killed, resumed, given nonsense.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "small_run.h"
#include "temporary_folder.h"

namespace barcodemae {
namespace {

using testing::HasSubstr;

class PretrainCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(BARCODEMAE_BINARY)) {
      GTEST_SKIP() << "skipped: the program was not built";
    }
    write_barcodes(folder_ / "data.csv", 400);
  }

  pid_t start(const std::vector<std::string>& arguments) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    const int log = ::open((folder_ / "log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    ::dup2(log, STDERR_FILENO);
    ::dup2(log, STDOUT_FILENO);
    std::vector<std::string> all = {BARCODEMAE_BINARY, "pretrain"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::vector<char*> raw;
    for (std::string& argument : all) raw.push_back(argument.data());
    raw.push_back(nullptr);
    ::execv(BARCODEMAE_BINARY, raw.data());
    ::_exit(127);
  }
  static int wait_for(pid_t child) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
  }
  int exit_code(const std::vector<std::string>& arguments) {
    const int status = wait_for(start(arguments));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  std::string log() const { return read_file(folder_ / "log"); }

  std::vector<std::string> arguments(const std::string& out, int threads,
                                     const std::map<std::string, std::string>& changes = {}) {
    std::map<std::string, std::string> given = small_run_options();
    for (const auto& [name, value] : changes) given[name] = value;
    std::vector<std::string> list = {folder_ / "data.csv", "--out", folder_ / out, "--threads",
                                     std::to_string(threads)};
    for (const auto& [name, value] : given) {
      list.push_back("--" + name);
      list.push_back(value);
    }
    return list;
  }

  TemporaryFolder folder_;
};

TEST_F(PretrainCommandTest, KilledAtRandomMomentsItEndsWithTheSameWeights) {
  const std::map<std::string, std::string> options = {
      {"steps", "240"}, {"validate-every", "60"}, {"checkpoint-minutes", "0.0005"}};
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_EQ(exit_code(arguments("whole", 2, options)), 0) << log();
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - begun;
  const auto seed = static_cast<unsigned>(::getpid());
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> share(0.0, 1.0 / 3);
  int killed = 0;
  for (int sitting = 0; sitting < 12; ++sitting) {
    const pid_t child = start(arguments("killed", 1 + sitting % 2, options));
    ASSERT_GT(child, 0);
    std::this_thread::sleep_for(whole * share(random));
    ::kill(child, sitting % 4 == 3 ? SIGTERM : SIGKILL);
    const int status = wait_for(child);
    if (WIFEXITED(status)) {
      ASSERT_EQ(WEXITSTATUS(status), 0) << log();
    } else {
      ++killed;
    }
  }
  EXPECT_GE(killed, 1) << "a run takes " << whole.count() << " s";
  ASSERT_EQ(exit_code(arguments("killed", 2, options)), 0) << log();
  for (const char* file : {"model.safetensors", "pretraining.safetensors", "last/model.safetensors",
                           "last/pretraining.safetensors"}) {
    const std::string expected = read_file(folder_ / ("whole/" + std::string(file)));
    ASSERT_FALSE(expected.empty()) << file;
    EXPECT_TRUE(expected == read_file(folder_ / ("killed/" + std::string(file)))) << file;
  }
  ASSERT_EQ(exit_code(arguments("killed", 1, options)), 0);
  EXPECT_THAT(log(), HasSubstr("finished"));
}

TEST_F(PretrainCommandTest, SigtermLeavesACheckpointAndEndsAsTheSignalWould) {
  const pid_t child = start(arguments("run", 1, {{"steps", "1000000"}}));
  while (!std::filesystem::exists(folder_ / "run/model.safetensors")) {
    ASSERT_EQ(::waitpid(child, nullptr, WNOHANG), 0) << log();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ::kill(child, SIGTERM);
  const int status = wait_for(child);
  ASSERT_TRUE(WIFSIGNALED(status)) << log();
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
  EXPECT_THAT(log(), HasSubstr("goes on from there"));
  EXPECT_FALSE(std::filesystem::is_empty(folder_ / "run/checkpoints"));
}

TEST_F(PretrainCommandTest, AutomaticPrecisionStaysWhatItWasWhenTheRunBegan) {
  ASSERT_EQ(exit_code(arguments("run", 1, {{"steps", "2"}, {"precision", "f32"}})), 0) << log();
  ASSERT_EQ(exit_code(arguments("run", 1, {{"steps", "2"}, {"precision", "auto"}})), 0) << log();
  EXPECT_THAT(log(), HasSubstr("precision f32"));
  const auto run = nlohmann::json::parse(read_file(folder_ / "run/run.json"));
  EXPECT_TRUE(run["simd"].is_string());
}

TEST_F(PretrainCommandTest, NonsenseIsRefusedWithExitCodeTwoAndLeavesNothing) {
  using Change = std::pair<std::string, std::string>;
  for (const Change& change : {Change{"batch", "0"},
                               {"batch", "-3"},
                               {"lr", "nan"},
                               {"lr", "-1"},
                               {"mask-ratio", "1"},
                               {"k", "11"},
                               {"epochs", "1"},
                               {"anchor", "/nowhere.json"},
                               {"splits", "nothing"},
                               {"width", "33"},
                               {"precision", "f16"},
                               {"preset", "medium"},
                               {"batch", "100000"},
                               {"threads", "0"},
                               {"warmup", "2"},
                               {"dropout", "1"}}) {
    EXPECT_EQ(exit_code(arguments("bad", 1, {change})), 2)
        << "--" << change.first << " " << change.second << "\n"
        << log();
    EXPECT_THAT(log(), HasSubstr(change.first == "splits" ? "pretrain, train" : change.first));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "bad/run.json"));
  }
  std::vector<std::string> unknown = arguments("bad", 1);
  unknown.push_back("--learning-rate");
  unknown.push_back("1");
  EXPECT_EQ(exit_code(unknown), 2);
  EXPECT_EQ(exit_code({folder_ / "missing.csv", "--out", folder_ / "bad"}), 2);
  EXPECT_EQ(exit_code({folder_ / "data.csv"}), 2);
}

TEST_F(PretrainCommandTest, AFullDiskIsAnErrorAUserCanMend) {
  // A file size limit stands in for the disk: checkpoints are larger than run.json.
  const auto all = arguments("full", 1);
  const pid_t child = ::fork();
  if (child == 0) {
    const int log = ::open((folder_ / "log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    ::dup2(log, STDERR_FILENO);
    std::string command =
        "ulimit -f 16; trap '' XFSZ; exec '" + std::string(BARCODEMAE_BINARY) + "' pretrain";
    for (const std::string& argument : all) command += " '" + argument + "'";
    ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    ::_exit(127);
  }
  const int status = wait_for(child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 2) << log();
  EXPECT_THAT(log(), HasSubstr("cannot write"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "full/model.safetensors"));
}

}  // namespace
}  // namespace barcodemae
