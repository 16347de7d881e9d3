// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace barcodemae {

struct ChildOutcome {
  std::string output;          ///< what the function returned
  std::size_t peak_bytes = 0;  ///< most memory the child had at a time
};

/// Runs a function in a process of its own, so that its peak memory is its own too. The calling
/// process must not have started threads. Errors of the function are rethrown here.
ChildOutcome run_in_child(const std::function<std::string()>& function);

}  // namespace barcodemae
