// SPDX-License-Identifier: MIT
// Two families of errors: what the user can mend, and what is our bug.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace barcodemae {

/// Something the user can mend: a file, an option, a full disk. The message says what was wrong
/// (file and line where there are any), what was expected and what to do; at most six lines.
/// `main` prints it and exits with code 2.
class UserError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;

  template <typename... Args>
  explicit UserError(fmt::format_string<Args...> format, Args&&... args)
      : std::runtime_error(fmt::format(format, std::forward<Args>(args)...)) {}
};

/// A broken invariant: our bug. `main` prints it, asks for a report and exits with code 1.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

namespace detail {
[[noreturn]] void check_failed(const char* condition, const char* file, int line,
                               const std::string& message);
}  // namespace detail

}  // namespace barcodemae

/// Checks an invariant of ours, in release builds too; costs nothing at the granularity of an op.
/// BARCODEMAE_CHECK(condition, "format {}", args...) throws InternalError.
#define BARCODEMAE_CHECK(condition, ...)                                 \
  do {                                                                   \
    if (!(condition)) [[unlikely]]                                       \
      ::barcodemae::detail::check_failed(#condition, __FILE__, __LINE__, \
                                         ::fmt::format(__VA_ARGS__));    \
  } while (false)
