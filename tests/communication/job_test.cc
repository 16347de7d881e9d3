// SPDX-License-Identifier: MIT
#include "job_fixture.h"

namespace barcodemae {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

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
  // Stopped and resumed with as many; 20 steps could be over before the signal is there.
  const std::map<std::string, std::string> longer = {{"steps", "300"}, {"validate-every", "100"}};
  ASSERT_EQ(run(2, pretraining("whole", longer)), 0) << log();
  const pid_t child = start(job(2, pretraining("parts", longer)));
  wait_until_there_is(folder_ / "parts/model.safetensors", child);
  if (HasFatalFailure()) return;
  ::kill(child, SIGUSR1);
  EXPECT_NE(wait_for(child), 0) << log();
  ASSERT_EQ(run(2, pretraining("parts", longer)), 0) << log();
  EXPECT_THAT(log(), HasSubstr("Resuming at step"));
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
    if (HasFatalFailure()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    const pid_t victim = process_of_rank(processes - 1);
    if (victim == 0 || ::kill(victim, SIGKILL) != 0) {  // it was faster
      wait_for(child);
      break;
    }
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
    if (HasFatalFailure()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    const pid_t target = all ? child : process_of_rank(1);
    ASSERT_GT(target, 0) << log();  // the signal would go to the test and all that ctest runs
    ::kill(target, SIGUSR1);
    const int code = wait_for(child);
    if (all) {
      EXPECT_EQ(code, 128 + SIGUSR1) << log();
    } else {  // mpirun's is that of whichever ends first; the other one got no signal of its own
      EXPECT_THAT(code, AnyOf(128 + SIGUSR1, 128 + SIGTERM)) << log();
    }
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
