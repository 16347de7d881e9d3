// SPDX-License-Identifier: MIT
// Pretrainings that take a second, on a device each.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "backend/backends.h"
#include "base/log.h"
#include "base/threads.h"
#include "communication/single_process.h"
#include "small_run.h"
#include "temporary_folder.h"
#include "timeless_metrics.h"
#include "train/pretrain.h"
#include "user_error.h"

namespace barcodemae {

class PretrainTest : public testing::TestWithParam<std::string> {
 protected:
  using Given = std::map<std::string, std::string>;

  void SetUp() override {
    set_verbosity(Verbosity::kQuiet);
    threads_ = thread_count();
    write_barcodes(data(), 400);
  }
  void TearDown() override { set_thread_count(threads_); }

  virtual std::string device() const { return GetParam(); }
  std::filesystem::path data() const { return folder_ / "data.csv"; }

  /// One sitting in folder `out`; `changes` to small_run_options(); stops before step `stop_at`.
  PretrainOutcome train(const std::string& out, const Given& changes = {},
                        std::int64_t stop_at = -1) {
    Given given = small_run_options();
    for (const auto& [name, value] : changes) {
      if (value.empty()) {
        given.erase(name);
      } else {
        given[name] = value;
      }
    }
    const std::string device = this->device();
    given["device"] = device;
    const std::unique_ptr<Backend> backend = make_backend(device);
    SingleProcess alone;
    return pretrain(
        data(), folder_ / out, resolve_pretrain_options(given), *backend, DType::kFloat32,
        [&](std::int64_t step) { return step == stop_at; }, alone);
  }

  std::string error_of(const std::string& out, const Given& changes) {
    return user_error([&] { train(out, changes); });
  }

  std::vector<nlohmann::json> metrics(const std::string& out, const std::string& kind) {
    std::istringstream lines(read_file(folder_ / (out + "/metrics.jsonl")));
    std::vector<nlohmann::json> result;
    for (std::string text; std::getline(lines, text);) {
      nlohmann::json line = nlohmann::json::parse(text);
      if (line["kind"] == kind) result.push_back(line);
    }
    return result;
  }

  void expect_same_result(const std::string& a, const std::string& b) {
    for (const char* file : {"model.safetensors", "pretraining.safetensors", "config.json",
                             "last/model.safetensors", "last/pretraining.safetensors"}) {
      const std::string expected = read_file(folder_ / (a + "/" + file));
      EXPECT_FALSE(expected.empty()) << file;
      EXPECT_TRUE(expected == read_file(folder_ / (b + "/" + file))) << file << " differs";
    }
    EXPECT_EQ(timeless_metrics(folder_ / a), timeless_metrics(folder_ / b));
  }

  TemporaryFolder folder_;
  int threads_ = 1;
};

}  // namespace barcodemae
