// SPDX-License-Identifier: MIT
#include "base/external_program.h"

#include <gtest/gtest.h>

namespace barcodemae {
namespace {

TEST(ExternalProgram, IsFoundRunAndHeardOut) {
  EXPECT_FALSE(find_program("no-such-program-anywhere"));
  const auto shell = find_program("sh");
  ASSERT_TRUE(shell);
  EXPECT_TRUE(shell->is_absolute());
  std::filesystem::path kept;
  {
    const WorkingFolder folder;
    kept = folder.path();
    const ProgramOutcome outcome = run_program(
        *shell, {"-c", "echo \"$0\" > made; pwd; echo bad >&2; exit 3", "a 'b'"}, folder.path());
    EXPECT_EQ(outcome.exit_code, 3);
    EXPECT_EQ(outcome.out, kept.string() + "\n");
    EXPECT_EQ(outcome.err, "bad\n");
    EXPECT_TRUE(std::filesystem::exists(kept / "made"));
    EXPECT_EQ(run_program(*shell, {"-c", "kill -9 $$"}, folder.path()).exit_code, 128 + 9);
    EXPECT_EQ(run_program("/no/such/program", {}, folder.path()).exit_code, 127);
  }
  EXPECT_FALSE(std::filesystem::exists(kept));
}

}  // namespace
}  // namespace barcodemae
