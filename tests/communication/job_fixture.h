// SPDX-License-Identifier: MIT
// The real program, started as several processes.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "formats/safetensors.h"
#include "small_run.h"
#include "temporary_folder.h"

namespace barcodemae {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

class ProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(BARCODEMAE_BINARY)) GTEST_SKIP() << "skipped: the program was not built";
    ::setenv("BARCODEMAE_CACHE", (folder_ / "cache").c_str(), 1);
  }

  /// Starts a command with all its output in the file log.
  pid_t start(const Arguments& command, const std::map<std::string, std::string>& variables = {}) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    const int log = ::open((folder_ / "log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    ::dup2(log, STDERR_FILENO);
    ::dup2(log, STDOUT_FILENO);
    for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
    Arguments words = command;
    std::vector<char*> raw;
    for (std::string& word : words) raw.push_back(word.data());
    raw.push_back(nullptr);
    ::execv(raw[0], raw.data());
    ::_exit(127);
  }
  /// Exit code, or minus the signal that ended it.
  static int wait_for(pid_t child) {
    int status = 0;
    if (::waitpid(child, &status, 0) != child) {
      ADD_FAILURE() << "process " << child << " cannot be waited for: " << std::strerror(errno);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  std::string log() const { return read_file(folder_ / "log"); }

  TemporaryFolder folder_;
};

/// Jobs of mpirun.
class JobTest : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    if (IsSkipped()) return;
    if (std::string(BARCODEMAE_MPIEXEC).empty()) GTEST_SKIP() << "skipped: built without MPI";
    // Containers have no other user, and fewer cores than processes.
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    write_barcodes(folder_ / "data.csv", 400);
  }

  static Arguments job(int processes, const Arguments& arguments) {
    Arguments command = {BARCODEMAE_BINARY};
    if (processes > 1) {
      command = {BARCODEMAE_MPIEXEC, "-n", std::to_string(processes), "--oversubscribe",
                 BARCODEMAE_BINARY};
    }
    command.insert(command.end(), arguments.begin(), arguments.end());
    return command;
  }
  int run(int processes, const Arguments& arguments) {
    return wait_for(start(job(processes, arguments)));
  }

  Arguments pretraining(const std::string& out,
                        const std::map<std::string, std::string>& changes = {}) const {
    std::map<std::string, std::string> given = small_run_options();
    // AdamW makes a step of any size out of a gradient of nothing but rounding; not with this ε.
    given["epsilon"] = "1e-3";
    for (const auto& [name, value] : changes) given[name] = value;
    Arguments list = {"pretrain", folder_ / "data.csv", "--out", folder_ / out};
    for (const auto& [name, value] : given) {
      list.push_back("--" + name);
      list.push_back(value);
    }
    return list;
  }

  std::vector<nlohmann::json> metrics(const std::string& out) const {
    std::istringstream lines(read_file(folder_ / out / "metrics.jsonl"));
    std::vector<nlohmann::json> result;
    for (std::string text; std::getline(lines, text);)
      result.push_back(nlohmann::json::parse(text));
    return result;
  }

  /// The same training but for the order of sums: 20 to 60 steps leave relative differences of
  /// some float32 roundings (6e-8 each); a record lost or counted twice changes 1e-2.
  void expect_same_training(const std::string& a, const std::string& b) const {
    const auto expected = metrics(a), found = metrics(b);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(found[i]["step"], expected[i]["step"]);
      for (const char* key : {"masked_loss", "visible_loss", "site_frequency_loss", "gradient_norm",
                              "genus_cross-entropy_loss", "genus_cross-entropy_accuracy"}) {
        if (!expected[i].contains(key)) continue;
        const double value = expected[i][key];
        EXPECT_NEAR(found[i][key].get<double>(), value, 1e-4 * std::abs(value))
            << key << " of line " << i;
      }
    }
    for (const char* name : {"last/model.safetensors", "last/pretraining.safetensors"}) {
      const SafetensorsFile whole(folder_ / a / name), shared(folder_ / b / name);
      for (const auto& [tensor, entry] : whole.entries()) {
        const std::int64_t rows = entry.shape.size() == 2 ? entry.shape[0] : 1;
        const std::int64_t cols = entry.shape.back();
        const std::vector<float> left = whole.floats(tensor, rows, cols),
                                 right = shared.floats(tensor, rows, cols);
        double difference = 0;
        for (std::size_t i = 0; i < left.size(); ++i) {
          difference = std::max(difference, std::abs(double{left[i]} - double{right[i]}));
        }
        EXPECT_LT(difference, 1e-4) << tensor;
      }
    }
  }
  void expect_same_bits(const std::string& a, const std::string& b) const {
    for (const char* name :
         {"model.safetensors", "last/model.safetensors", "last/pretraining.safetensors"}) {
      const std::string expected = read_file(folder_ / a / name);
      EXPECT_FALSE(expected.empty()) << name;
      EXPECT_TRUE(expected == read_file(folder_ / b / name)) << name;
    }
  }

  /// Waits until a job in the background has written `file`. A fatal failure when it ends before:
  /// then there is nobody to signal or to wait for, so a caller returns if HasFatalFailure().
  void wait_until_there_is(const fs::path& file, pid_t job) {
    while (!fs::exists(file)) {
      ASSERT_EQ(::waitpid(job, nullptr, WNOHANG), 0) << log();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  /// The process of this test's job with a rank; 0: there is none.
  pid_t process_of_rank(int rank) const {
    const std::string variable = "OMPI_COMM_WORLD_RANK=" + std::to_string(rank);
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const std::string pid = entry.path().filename();
      if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
      const std::string command = read_file(entry.path() / "cmdline");
      if (command.rfind(BARCODEMAE_BINARY, 0) != 0 ||
          command.find(folder_.path().string()) == std::string::npos) {
        continue;
      }
      const std::string environment = '\0' + read_file(entry.path() / "environ");
      if (environment.find('\0' + variable + '\0') != std::string::npos) return std::stoi(pid);
    }
    return 0;
  }
};

}  // namespace barcodemae
