// SPDX-License-Identifier: MIT
#include "base/atomic_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <iterator>

#include "base/error.h"
#include "base/fingerprint.h"
#include "temporary_folder.h"
#include "user_error.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class AtomicFileTest : public testing::Test {
 protected:
  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  const TemporaryFolder temporary_;
  const fs::path& folder_ = temporary_.path();
};

TEST_F(AtomicFileTest, AppearsOnCommitOnly) {
  const fs::path path = folder_ / "x.txt";
  write_file_atomically(path, "old");
  {
    AtomicFile file(path);
    file.write("new, unfinished");
    EXPECT_EQ(read_file(path), "old");
  }
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(entries(), 1u) << "the temporary is gone";
  AtomicFile file(path);
  file.write("____ body");
  file.write_at(0, "head", 4);
  file.commit();
  EXPECT_EQ(read_file(path), "head body");
}

TEST_F(AtomicFileTest, SaysWhyItCannotWrite) {
  EXPECT_THAT(user_error([&] { AtomicFile{folder_ / "missing" / "x.txt"}; }),
              HasSubstr("Create the folder first"));
  EXPECT_THROW(AtomicFile{folder_}, UserError);
}

TEST_F(AtomicFileTest, ReportsAFullDisk) {
  if (::access("/dev/full", W_OK) != 0) GTEST_SKIP() << "skipped: no /dev/full";
  AtomicFile file("/dev/full");
  EXPECT_THAT(user_error([&] { file.write("anything"); }), HasSubstr("Free some space"));
}

TEST_F(AtomicFileTest, ReplacesALinksTargetAndNeverADeviceOrPipe) {
  write_file_atomically(folder_ / "target", "old");
  fs::create_symlink("target", folder_ / "link");
  write_file_atomically(folder_ / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(read_file(folder_ / "target"), "new");

  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  write_file_atomically(pipe, "through");
  char text[16] = {};
  EXPECT_EQ(::read(reader, text, sizeof(text)), 7);
  EXPECT_STREQ(text, "through");
  ::close(reader);
  EXPECT_TRUE(fs::is_fifo(pipe));
}

TEST_F(AtomicFileTest, FoldersAppearWholeOrNotAtAll) {
  const fs::path path = folder_ / "checkpoint";
  EXPECT_THROW(write_directory_atomically(path,
                                          [](const fs::path& inside) {
                                            write_file_atomically(inside / "a", "1");
                                            throw UserError("stop");
                                          }),
               UserError);
  EXPECT_EQ(entries(), 0u);
  for (const char* text : {"first", "second"}) {
    write_directory_atomically(
        path, [&](const fs::path& inside) { write_file_atomically(inside / "a", text); });
    EXPECT_EQ(read_file(path / "a"), text);
  }
  write_directory_atomically(
      path / "", [](const fs::path& inside) { write_file_atomically(inside / "a", "third"); });
  EXPECT_EQ(read_file(path / "a"), "third");
  EXPECT_EQ(entries(), 1u);
  EXPECT_THROW(require_writable_folder(path / "a" / "in a file"), UserError);
  require_writable_folder(folder_ / "new" / "");
  EXPECT_EQ(entries(), 1u);
}

#if defined(__x86_64__)
TEST_F(AtomicFileTest, FoldersAreReplacedWhereNamesCannotBeExchanged) {
  const auto write = [&](const char* text) {
    write_directory_atomically(
        folder_ / "f", [&](const fs::path& inside) { write_file_atomically(inside / "a", text); });
  };
  write("old");
  const pid_t child = ::fork();
  if (child == 0) {  // a process whose kernel does not know renameat2
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program = {4, code};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) ::_exit(2);
    // Of an earlier process of the same number, killed between the two renames.
    fs::create_directories(folder_ / fmt::format("f.{}.tmp.old/x", ::getpid()));
    write("new");
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 2) GTEST_SKIP() << "skipped: no seccomp";
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_file(folder_ / "f/a"), "new");
  EXPECT_EQ(entries(), 1u);
}
#endif

TEST_F(AtomicFileTest, FingerprintsNameContent) {
  write_file_atomically(folder_ / "a", "ACGT");
  Fingerprint pieces;
  pieces.add("AC");
  pieces.add("GT");
  EXPECT_EQ(fingerprint_file(folder_ / "a"), pieces.hex());
  EXPECT_EQ(pieces.hex().size(), 32u);
  write_file_atomically(folder_ / "b", "ACGA");
  EXPECT_NE(fingerprint_file(folder_ / "b"), pieces.hex());
}

}  // namespace
}  // namespace barcodemae
