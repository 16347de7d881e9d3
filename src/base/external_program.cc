// SPDX-License-Identifier: MIT
#include "base/external_program.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <system_error>

#include "base/error.h"
#include "base/file_content.h"

namespace barcodemae {
namespace fs = std::filesystem;
namespace {

constexpr int kCannotStart = 127;  // a shell's word for it

/// In the child: only calls that are safe between fork and exec.
[[noreturn]] void become(char* const* words, const char* folder, const char* out, const char* err) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  const auto redirect = [](const char* path, int flags, int descriptor) {
    const int file = ::open(path, flags, 0600);
    return file >= 0 && ::dup2(file, descriptor) >= 0;
  };
  if (redirect("/dev/null", O_RDONLY, STDIN_FILENO) &&
      redirect(out, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO) &&
      redirect(err, O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO) && ::chdir(folder) == 0) {
    ::execv(words[0], words);
  }
  ::_exit(kCannotStart);
}

}  // namespace

std::optional<fs::path> find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const fs::path candidate = fs::path(folder.empty() ? "." : folder) / name;
    std::error_code ignored;
    if (fs::is_regular_file(candidate, ignored) && ::access(candidate.c_str(), X_OK) == 0) {
      return fs::absolute(candidate);
    }
  }
  return std::nullopt;
}

ProgramOutcome run_program(const fs::path& program, const std::vector<std::string>& arguments,
                           const fs::path& folder) {
  std::vector<std::string> texts = {program.string()};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<char*> words;
  words.reserve(texts.size() + 1);
  for (std::string& text : texts) words.push_back(text.data());
  words.push_back(nullptr);
  const std::string own = (folder / program.filename()).string();
  const std::string out = own + ".stdout", err = own + ".stderr";
  const pid_t child = ::fork();
  if (child < 0) {
    throw UserError("cannot start {}: {}", program.string(), std::strerror(errno));
  }
  if (child == 0) become(words.data(), folder.c_str(), out.c_str(), err.c_str());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          file_content(out).value_or(""), file_content(err).value_or("")};
}

WorkingFolder::WorkingFolder() {
  std::error_code error;
  std::string name = (fs::temp_directory_path(error) / "barcodemae_XXXXXX").string();
  if (error || ::mkdtemp(name.data()) == nullptr) {
    throw UserError("cannot make a temporary folder {}: {}\nSet TMPDIR to a folder with room.",
                    name, error ? error.message() : std::strerror(errno));
  }
  path_ = name;
}

WorkingFolder::~WorkingFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace barcodemae
