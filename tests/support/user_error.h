// SPDX-License-Identifier: MIT
// What a user is told when something is refused.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/error.h"

namespace barcodemae {

/// Message of the UserError that `action` throws, at most six lines; fails when it throws none.
template <typename Action>
[[nodiscard]] std::string user_error(const Action& action) {
  try {
    action();
  } catch (const UserError& error) {
    const std::string message = error.what();
    EXPECT_LE(std::count(message.begin(), message.end(), '\n') + 1, 6) << message;
    return message;
  }
  ADD_FAILURE() << "no UserError";
  return {};
}

}  // namespace barcodemae
