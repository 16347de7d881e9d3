// SPDX-License-Identifier: MIT
// The real binary, as a user calls it.
#pragma once

#include <string>
#include <vector>

namespace barcodemae {

struct Outcome {
  int exit_code = -1;  ///< 128 + signal when a signal ended it
  std::string out, err;
};

/// Runs `barcodemae` with these arguments, this file as standard input, and waits.
Outcome run_barcodemae(const std::vector<std::string>& arguments,
                       const std::string& input = "/dev/null");

}  // namespace barcodemae
