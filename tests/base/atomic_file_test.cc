// SPDX-License-Identifier: MIT
#include "base/atomic_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "base/error.h"
#include "base/fingerprint.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class AtomicFileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("barcodemae_atomic_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  static std::string content(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
};

TEST_F(AtomicFileTest, AppearsOnCommitOnly) {
  const fs::path path = folder_ / "x.txt";
  write_file_atomically(path, "old");
  {
    AtomicFile file(path);
    file.write("new, unfinished");
    EXPECT_EQ(content(path), "old");
  }
  EXPECT_EQ(content(path), "old");
  EXPECT_EQ(entries(), 1u) << "the temporary is gone";
  AtomicFile file(path);
  file.write("____ body");
  file.write_at(0, "head", 4);
  file.commit();
  EXPECT_EQ(content(path), "head body");
}

TEST_F(AtomicFileTest, SaysWhyItCannotWrite) {
  try {
    AtomicFile file(folder_ / "missing" / "x.txt");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("Create the folder first"));
  }
  EXPECT_THROW(AtomicFile{folder_}, UserError);
}

TEST_F(AtomicFileTest, ReportsAFullDisk) {
  if (::access("/dev/full", W_OK) != 0) GTEST_SKIP() << "skipped: no /dev/full";
  AtomicFile file("/dev/full");
  try {
    file.write("anything");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("Free some space"));
  }
}

TEST_F(AtomicFileTest, ReplacesALinksTargetAndNeverADeviceOrPipe) {
  write_file_atomically(folder_ / "target", "old");
  fs::create_symlink("target", folder_ / "link");
  write_file_atomically(folder_ / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(content(folder_ / "target"), "new");

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
    EXPECT_EQ(content(path / "a"), text);
  }
  EXPECT_EQ(entries(), 1u);
}

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
