// SPDX-License-Identifier: MIT
#include "base/temporary_files.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <set>

#include "base/atomic_file.h"
#include "temporary_folder.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;

class TemporaryFilesTest : public testing::Test {
 protected:
  std::set<std::string> entries() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }
  /// The wait status of a process that does `work` and exits with 0.
  static int status_of(const std::function<void()>& work) {
    const pid_t child = ::fork();
    if (child == 0) {
      work();
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
  }

  const TemporaryFolder temporary_;
  const fs::path& folder_ = temporary_.path();
};

TEST_F(TemporaryFilesTest, ASignalRemovesThemAndEndsTheProcess) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const int status = status_of([&] {
      for (const int each : {SIGINT, SIGTERM, SIGHUP}) std::signal(each, SIG_DFL);
      remove_temporaries_on_signals();
      write_file_atomically(folder_ / "finished", "x");
      AtomicFile a(folder_ / "a"), b(folder_ / "b");
      std::raise(signal);
    });
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    EXPECT_EQ(WTERMSIG(status), signal);
    EXPECT_EQ(entries(), std::set<std::string>{"finished"});
  }
}

TEST_F(TemporaryFilesTest, IgnoredSignalsStayIgnored) {
  const int status = status_of([] {
    std::signal(SIGHUP, SIG_IGN);  // nohup
    remove_temporaries_on_signals();
    std::raise(SIGHUP);
  });
  EXPECT_TRUE(WIFEXITED(status));
}

TEST_F(TemporaryFilesTest, AForkedChildLeavesItsParentsFilesAlone) {
  const int status = status_of([&] {
    std::signal(SIGTERM, SIG_DFL);
    remove_temporaries_on_signals();
    AtomicFile file(folder_ / "a");
    status_of([] { std::raise(SIGTERM); });
    if (entries().empty()) ::_exit(1);
  });
  EXPECT_EQ(status, 0);
}

TEST_F(TemporaryFilesTest, LeftoversGoButTheOnlyCopyOfAFolderComesBack) {
  for (const char* name : {"step-1", "step-1.77.tmp.old", "step-2.77.tmp", "step-2.77.tmp.old"}) {
    fs::create_directory(folder_ / name);
  }
  for (const char* name : {"run.json", "run.json.77.tmp", "notes.tmp", "a.b.tmp", "x..tmp"}) {
    std::ofstream(folder_ / name) << "x";
  }
  remove_leftovers(folder_);
  EXPECT_EQ(entries(), (std::set<std::string>{"step-1", "step-2", "run.json", "notes.tmp",
                                              "a.b.tmp", "x..tmp"}));
}

}  // namespace
}  // namespace barcodemae
