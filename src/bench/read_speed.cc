// SPDX-License-Identifier: MIT
#include "bench/read_speed.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/median.h"
#include "bench/scratch_file.h"
#include "sequence/reader.h"

namespace barcodemae {
namespace {

namespace fs = std::filesystem;

template <typename Body>
double seconds(Body&& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::size_t text_bytes(const fs::path& path) {
  const auto source = decompress(open_file(path));
  std::vector<char> block(std::size_t{1} << 20);
  std::size_t bytes = 0;
  while (const std::size_t got = source->read(block.data(), block.size())) bytes += got;
  return bytes;
}

/// 10^6 bytes a second. Each byte waits for the one before: the clock of the processor, whatever
/// its vectors, caches and libraries.
double hash_rate() {
  constexpr int kRounds = 2048;
  const std::string text(std::size_t{1} << 14, 'A');
  std::uint64_t hash = 0xcbf29ce484222325;
  const double time = seconds([&] {
    for (int round = 0; round < kRounds; ++round) {
      for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
    [[maybe_unused]] const volatile std::uint64_t kept = hash;
  });
  return 1e-6 * kRounds * static_cast<double>(text.size()) / time;
}

}  // namespace

ReadSpeed measure_reading(const ReadRequest& request) {
  remove_temporaries_on_signals();
  const ScratchFile file(request.ending);
  write_simulated(file.path(), request.records);
  ReadSpeed speed;
  speed.text_mb = 1e-6 * static_cast<double>(text_bytes(file.path()));
  std::vector<double> times, hash_rates;
  for (int repeat = 0; repeat < request.repeats; ++repeat) {
    hash_rates.push_back(hash_rate());
    times.push_back(seconds([&] {
      RecordReader reader(file.path());
      for (Record record; reader.next(record);) {
      }
    }));
  }
  const double time = median(times);
  speed.mb_per_s = speed.text_mb / time;
  speed.records_per_s = static_cast<double>(request.records) / time;
  speed.hash_mb_per_s = median(hash_rates);
  return speed;
}

}  // namespace barcodemae
