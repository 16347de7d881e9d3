// SPDX-License-Identifier: MIT
#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>

#include "base/log.h"

namespace barcodemae {

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string format_count(std::int64_t count) {
  std::string digits = std::to_string(count);
  const std::ptrdiff_t first = count < 0 ? 1 : 0;
  for (auto place = static_cast<std::ptrdiff_t>(digits.size()) - 3; place > first; place -= 3) {
    digits.insert(static_cast<std::size_t>(place), ",");
  }
  return digits;
}

std::string format_bytes(double bytes) {
  if (bytes < 1000) return fmt::format("{:.0f} B", bytes);
  const char* const units[] = {"kB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  for (bytes /= 1000; bytes >= 999.5 && unit < 3; ++unit) bytes /= 1000;
  return fmt::format("{:.3g} {}", bytes, units[unit]);
}

Progress::Progress(std::string what, std::string unit, std::int64_t total, std::int64_t already)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      already_(already),
      done_(already),
      start_(Clock::now()),
      shown_(start_),
      terminal_(::isatty(STDERR_FILENO) == 1),
      exceptions_at_start_(std::uncaught_exceptions()) {}

Progress::~Progress() {
  if (!finished_ && std::uncaught_exceptions() == exceptions_at_start_) finish();
  if (!finished_ && terminal_ && verbosity() != Verbosity::kQuiet) std::fputc('\n', stderr);
}

void Progress::update(std::int64_t done, const std::string& note) {
  done_ = done;
  note_ = note;
  const auto pause = terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10'000);
  if (Clock::now() - shown_ >= pause) show(false);
}

void Progress::finish(const std::string& note) {
  if (finished_) return;
  if (!note.empty()) note_ = note;
  show(true);
  finished_ = true;
}

void Progress::show(bool last) {
  shown_ = Clock::now();
  if (verbosity() == Verbosity::kQuiet) return;
  const double elapsed = std::chrono::duration<double>(shown_ - start_).count();
  const double rate = elapsed > 0 ? static_cast<double>(done_ - already_) / elapsed : 0;
  std::string line = fmt::format("{}: {}", what_, format_count(done_));
  if (total_ > 0 && !last) {
    line += fmt::format(" of {} {} ({:.0f} %)", format_count(total_), unit_,
                        100.0 * static_cast<double>(done_) / static_cast<double>(total_));
  } else {
    line += fmt::format(" {}", unit_);
  }
  line += rate >= 10 ? fmt::format(", {}/s", format_count(std::llround(rate)))
                     : fmt::format(", {:.2g}/s", rate);
  if (last) {
    line += fmt::format(", {}", format_duration(elapsed));
  } else if (total_ > 0 && rate > 0) {
    line += fmt::format(", {} left", format_duration(static_cast<double>(total_ - done_) / rate));
  }
  if (!note_.empty()) line += ", " + note_;
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), last ? "\n" : "");
    std::fflush(stderr);
  } else {
    log_message(line);
  }
}

}  // namespace barcodemae
