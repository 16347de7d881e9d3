// SPDX-License-Identifier: MIT
#include "bench/child_process.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "base/error.h"

namespace barcodemae {
namespace {

enum Status : int { kDone = 0, kUserError = 2, kBug = 3 };

void write_all(int descriptor, const std::string& text) {
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = write(descriptor, text.data() + written, text.size() - written);
    if (count <= 0) return;
    written += static_cast<std::size_t>(count);
  }
}

}  // namespace

ChildOutcome run_in_child(const std::function<std::string()>& function) {
  int ends[2];
  BARCODEMAE_CHECK(pipe(ends) == 0, "no pipe");
  std::fflush(nullptr);  // or the child would print it again
  const pid_t child = fork();
  BARCODEMAE_CHECK(child >= 0, "no child process");
  if (child == 0) {
    close(ends[0]);
    int status = kDone;
    std::string output;
    try {
      output = function();
    } catch (const UserError& error) {
      status = kUserError;
      output = error.what();
    } catch (const std::exception& error) {
      status = kBug;
      output = error.what();
    }
    write_all(ends[1], output);
    std::fflush(nullptr);
    _exit(status);
  }
  close(ends[1]);
  ChildOutcome outcome;
  char buffer[4096];
  for (ssize_t count; (count = read(ends[0], buffer, sizeof buffer)) > 0;) {
    outcome.output.append(buffer, static_cast<std::size_t>(count));
  }
  close(ends[0]);
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  outcome.peak_bytes = static_cast<std::size_t>(usage.ru_maxrss) * 1024;
  if (WIFSIGNALED(status)) {
    throw UserError(
        "a measurement was killed (signal {}), perhaps for want of memory\nUse a smaller --batch.",
        WTERMSIG(status));
  }
  if (WEXITSTATUS(status) == kUserError) throw UserError("{}", outcome.output);
  if (WEXITSTATUS(status) != kDone) throw InternalError(outcome.output);
  return outcome;
}

}  // namespace barcodemae
