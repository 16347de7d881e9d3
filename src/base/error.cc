// SPDX-License-Identifier: MIT
#include "base/error.h"

namespace barcodemae::detail {

void check_failed(const char* condition, const char* file, int line, const std::string& message) {
  throw InternalError(fmt::format("{}:{}: {} (violated: {})", file, line, message, condition));
}

}  // namespace barcodemae::detail
