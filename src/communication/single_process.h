// SPDX-License-Identifier: MIT
#pragma once

#include <cstdlib>

#include "communication/communicator.h"

namespace barcodemae {

/// A job of one process: nothing to exchange.
class SingleProcess final : public Communicator {
 public:
  std::string library() const override { return "none"; }
  int rank() const override { return 0; }
  int size() const override { return 1; }
  int processes_on_machine() const override { return 1; }
  int processes_on_cores() const override { return 1; }
  void sum(std::span<double> /*values*/) override {}
  void broadcast(void* /*data*/, std::size_t /*bytes*/) override {}
  std::vector<std::vector<std::byte>> gather(std::span<const std::byte> part) override {
    return {{part.begin(), part.end()}};
  }
  void start_sum(float* /*values*/, std::size_t /*count*/) override {}
  void finish_sums() override {}
  double seconds_in_sums() const override { return 0; }
  double seconds_waited() const override { return 0; }
  [[noreturn]] void abort(int exit_code) noexcept override { std::_Exit(exit_code); }
};

}  // namespace barcodemae
