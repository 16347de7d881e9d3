// SPDX-License-Identifier: MIT
// The real program, started as several processes.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "formats/safetensors.h"
#include "small_run.h"
#include "temporary_folder.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;
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
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  std::string log() const { return read_file(folder_ / "log"); }

  TemporaryFolder folder_;
};

TEST_F(ProgramTest, KnowsNothingOfMpi) {
  // Names of the libraries that a program needs lie in it as text.
  EXPECT_THAT(read_file(BARCODEMAE_BINARY), Not(HasSubstr("libmpi")));
}

TEST_F(ProgramTest, SeveralProcessesWithoutThePluginAreToldOnce) {
  for (const int rank : {0, 1}) {
    EXPECT_EQ(wait_for(start({BARCODEMAE_BINARY, "pretrain", "data.csv", "--out", "run"},
                             {{"OMPI_COMM_WORLD_SIZE", "2"},
                              {"OMPI_COMM_WORLD_RANK", std::to_string(rank)},
                              {"BARCODEMAE_MPI_PLUGIN", "/nowhere/plugin.so"}})),
              2);
    if (rank == 0) {
      EXPECT_THAT(log(), HasSubstr("error: started as 2 processes"));
      EXPECT_THAT(log(), HasSubstr("/nowhere/plugin.so"));
    } else {
      EXPECT_EQ(log(), "");
    }
  }
}

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

  /// Waits until a job in the background has written `file`.
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
using SlowJobTest = JobTest;

TEST_F(SlowJobTest, SeveralProcessesTrainWhatOneDoes) {
  ASSERT_EQ(run(1, pretraining("one")), 0) << log();
  for (const int processes : {2, 4}) {  // 16 barcodes a step; with 3, shares would be uneven
    const std::string out = std::to_string(processes);
    ASSERT_EQ(run(processes, pretraining(out)), 0) << log();
    EXPECT_THAT(log(), HasSubstr("Processes: " + out));
    expect_same_training("one", out);
  }
  ASSERT_EQ(run(3, pretraining("3")), 0) << log();
  expect_same_training("one", "3");
}

// The labels that a loss is a mean over are counted in all processes: every seventh is missing, so
// that their shares have different numbers of them.
TEST_F(SlowJobTest, SeveralProcessesLearnLabelsAsOneDoes) {
  const std::map<std::string, std::string> options = {{"auxiliary", "genus:cross-entropy:0.5"}};
  ASSERT_EQ(run(1, pretraining("one", options)), 0) << log();
  ASSERT_EQ(run(2, pretraining("two", options)), 0) << log();
  EXPECT_THAT(log(), HasSubstr("Processes: 2"));
  int with_labels = 0;
  for (const nlohmann::json& line : metrics("two")) {
    with_labels += line.contains("genus_cross-entropy_loss") ? 1 : 0;
  }
  EXPECT_EQ(with_labels, 4) << "lines of training";
  expect_same_training("one", "two");
}

TEST_F(SlowJobTest, AsManyProcessesAgainTrainTheSameBits) {
  ASSERT_EQ(run(4, pretraining("first")), 0) << log();
  ASSERT_EQ(run(4, pretraining("second", {{"micro-batch", "4"}})), 0) << log();
  expect_same_bits("first", "second");
  // Stopped and resumed with as many.
  ASSERT_EQ(run(2, pretraining("whole")), 0) << log();
  const pid_t child = start(job(2, pretraining("parts")));
  wait_until_there_is(folder_ / "parts/model.safetensors", child);
  ::kill(child, SIGUSR1);
  wait_for(child);
  ASSERT_EQ(run(2, pretraining("parts")), 0) << log();
  expect_same_bits("whole", "parts");
}

TEST_F(SlowJobTest, AKilledProcessEndsTheJobAndAnyNumberGoesOn) {
  const std::map<std::string, std::string> options = {
      {"steps", "300"}, {"validate-every", "100"}, {"checkpoint-minutes", "0.001"}, {"lr", "1e-3"}};
  ASSERT_EQ(run(1, pretraining("whole", options)), 0) << log();
  int killed = 0;
  for (const int processes : {4, 2, 3}) {
    const pid_t child = start(job(processes, pretraining("killed", options)));
    wait_until_there_is(folder_ / "killed/checkpoints", child);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    const pid_t victim = process_of_rank(processes - 1);
    if (victim == 0 || ::kill(victim, SIGKILL) != 0) break;  // it was faster
    const auto began = std::chrono::steady_clock::now();
    const int code = wait_for(child);
    if (code != 0) ++killed;
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(30));
  }
  EXPECT_GE(killed, 1) << log();
  ASSERT_EQ(run(2, pretraining("killed", options)), 0) << log();
  expect_same_training("whole", "killed");
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "killed")) {
    EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
  }
}

TEST_F(SlowJobTest, ASignalStopsAllOfThemAtOneStepWithACheckpoint) {
  const Arguments endless = pretraining("run", {{"steps", "1000000"}});
  for (const bool all : {true, false}) {  // by mpirun to all of them, or to one alone
    const pid_t child = start(job(2, endless));
    wait_until_there_is(folder_ / "run/model.safetensors", child);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    ::kill(all ? child : process_of_rank(1), SIGUSR1);
    EXPECT_NE(wait_for(child), 0);
    EXPECT_THAT(log(), HasSubstr("goes on from there"));
    EXPECT_FALSE(fs::is_empty(folder_ / "run/checkpoints"));
    fs::remove_all(folder_ / "run");
  }
}

TEST_F(SlowJobTest, ErrorsAreSaidOnceAndEndTheJob) {
  const auto expect_refused = [&](const Arguments& arguments, const std::string& message) {
    EXPECT_EQ(run(3, arguments), 2) << log();
    const std::string text = log();
    const auto first = text.find("error: ");
    EXPECT_NE(first, std::string::npos);
    EXPECT_EQ(text.find("error: ", first + 1), std::string::npos) << text;
    EXPECT_THAT(text, HasSubstr(message));
  };
  expect_refused(pretraining("bad", {{"batch", "2"}, {"micro-batch", "2"}}), "3 processes");
  expect_refused({"pretrain", folder_ / "missing.csv", "--out", folder_ / "bad"}, "missing.csv");
  expect_refused({"info", folder_ / "bad"}, "without mpirun");
  expect_refused({"embed", "coi-small", "-", "--out", folder_ / "x.npy"}, "standard input");
  EXPECT_FALSE(fs::exists(folder_ / "bad/run.json"));
}

TEST_F(SlowJobTest, EmbeddingsAndTablesAreThoseOfOneProcess) {
  ASSERT_EQ(run(1, pretraining("model")), 0) << log();
  std::map<int, nlohmann::json> tables;
  for (const int processes : {1, 3}) {
    const fs::path out = folder_ / ("x" + std::to_string(processes));
    ASSERT_EQ(run(processes, {"embed", folder_ / "model", folder_ / "data.csv", "--out",
                              out.string() + ".npy", "--precision", "f32"}),
              0)
        << log();
    for (const bool cached : {false, true}) {
      ASSERT_EQ(run(processes, {"evaluate", "knn", folder_ / "model", folder_ / "data.csv",
                                "--queries", "val_unseen", "--centre", "--precision", "f32",
                                "--json", out.string() + ".json"}),
                0)
          << log();
      EXPECT_EQ(log().find("taken from the cache") != std::string::npos, cached);
      nlohmann::json table = nlohmann::json::parse(read_file(out.string() + ".json"));
      for (nlohmann::json& row : table["rows"]) row.erase("queries_per_second");
      if (!cached) tables[processes] = table;
      EXPECT_EQ(table, tables[processes]);
    }
    fs::remove_all(folder_ / "cache");
  }
  EXPECT_EQ(tables[1], tables[3]);
  EXPECT_EQ(tables[3]["rows"].size(), 5u);
  for (const char* ending : {".npy", ".tsv"}) {
    const std::string expected = read_file(folder_ / (std::string("x1") + ending));
    EXPECT_FALSE(expected.empty());
    EXPECT_TRUE(expected == read_file(folder_ / (std::string("x3") + ending))) << ending;
  }
}

}  // namespace
}  // namespace barcodemae
