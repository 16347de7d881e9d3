// SPDX-License-Identifier: MIT
// Progress with rate and ETA on standard error: one line rewritten on a terminal, plain lines
// elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace barcodemae {

/// Seconds as "42 s", "3 min 05 s", "2 h 07 min".
std::string format_duration(double seconds);
/// 1234567 as "1,234,567".
std::string format_count(std::int64_t count);
/// Bytes as "3.4 GB" (decimal units).
std::string format_bytes(double bytes);

class Progress {
 public:
  /// `what` names the work ("embedding"), `unit` what is counted ("barcodes"). `total` 0: unknown.
  /// `already` is what an earlier run has done; it does not count for the rate.
  Progress(std::string what, std::string unit, std::int64_t total, std::int64_t already = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Says how much is done and shows it (at most 10 times a second on a terminal, every 10 s else).
  /// `note` is appended: losses, file names.
  void update(std::int64_t done, const std::string& note = {});
  /// Shows the final line; the destructor does so too unless it runs in unwinding.
  void finish(const std::string& note = {});

 private:
  using Clock = std::chrono::steady_clock;
  void show(bool last);

  std::string what_, unit_, note_;
  std::int64_t total_, already_, done_;
  Clock::time_point start_, shown_;
  bool terminal_, finished_ = false;
  int exceptions_at_start_;
};

}  // namespace barcodemae
