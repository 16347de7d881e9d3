// SPDX-License-Identifier: MIT
#include "tensor/context.h"

#include "base/error.h"

namespace barcodemae {

Dropout Context::dropout(float probability, std::uint32_t site) const {
  if (tape == nullptr) return {};
  return {probability, seed, step, site};
}

void Context::discard(const Tensor& tensor) {
  if (tape == nullptr) arena.release(tensor.view.data);
}

View Context::upload(std::span<const std::int32_t> values, std::int64_t cols) {
  const auto count = static_cast<std::int64_t>(values.size());
  BARCODEMAE_CHECK(cols > 0 && count % cols == 0, "{} values in rows of {}", count, cols);
  const View view = arena.allocate(count / cols, cols, DType::kInt32);
  if (!measuring() && count > 0) backend.upload(view, values.data());
  return view;
}

}  // namespace barcodemae
