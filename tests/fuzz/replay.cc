// SPDX-License-Identifier: MIT
// A fuzz target as a test: its seeds and changes of them, the same every time. What a target must
// not do is crash, so each input lies in a file while it is tried.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "temporary_folder.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace barcodemae {
namespace {

constexpr int kChangedCopies = 300;  // of each seed

std::vector<std::filesystem::path> seeds() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(BARCODEMAE_SEEDS)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// Ends early, lacks a piece, has one twice, or has other bytes in one to four places.
std::string changed(std::string bytes, std::mt19937& random) {
  const auto below = [&](std::size_t end) { return random() % std::max<std::size_t>(end, 1); };
  const std::size_t begin = below(bytes.size()), length = below(bytes.size() - begin + 1);
  switch (below(6)) {
    case 0:
      bytes.resize(begin);
      break;
    case 1:
      bytes.erase(begin, length);
      break;
    case 2:
      bytes.insert(begin, bytes.substr(begin, length));
      break;
    default:
      for (std::size_t places = 1 + below(4); places > 0 && !bytes.empty(); --places) {
        constexpr std::string_view kUsual("\0\xff\x7f\x80 \t\n,\"9-", 11);
        const std::size_t choice = below(2 * kUsual.size());
        bytes[below(bytes.size())] =
            choice < kUsual.size() ? kUsual[choice] : static_cast<char>(below(256));
      }
  }
  return bytes;
}

TEST(Replay, SeedsAndChangesOfThem) {
  const TemporaryFolder folder;  // stays when the process ends before its time
  std::printf("The input that is tried: %s\n", (folder / "input").c_str());
  std::fflush(stdout);
  const auto run = [&](const std::string& bytes) {
    std::ofstream(folder / "input", std::ios::binary) << bytes;
    EXPECT_EQ(
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()),
        0);
  };
  ASSERT_FALSE(seeds().empty());
  run("");
  std::mt19937 random(1);
  for (const auto& seed : seeds()) {
    const std::string bytes = read_file(seed);
    run(bytes);
    for (int copy = 0; copy < kChangedCopies; ++copy) run(changed(bytes, random));
  }
}

}  // namespace
}  // namespace barcodemae
