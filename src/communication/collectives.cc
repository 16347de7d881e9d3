// SPDX-License-Identifier: MIT
#include "communication/collectives.h"

#include <algorithm>

#include "base/error.h"

namespace barcodemae {

Share share_of(std::int64_t count, int rank, int size) {
  BARCODEMAE_CHECK(count >= 0 && rank >= 0 && rank < size, "share {} of {} of {}", rank, size,
                   count);
  const std::int64_t each = count / size, more = count % size;
  const std::int64_t begin = rank * each + std::min<std::int64_t>(rank, more);
  return {begin, begin + each + (rank < more ? 1 : 0)};
}

std::int64_t largest_share(std::int64_t count, const Communicator& communicator) {
  return share_of(count, 0, communicator.size()).size();
}

bool any(Communicator& communicator, bool value) {
  double votes = value ? 1 : 0;
  communicator.sum({&votes, 1});
  return votes > 0;
}

std::string text_from_root(Communicator& communicator, std::string text) {
  text.resize(from_root(communicator, text.size()));
  communicator.broadcast(text.data(), text.size());
  return text;
}

void require_same(Communicator& communicator, std::string_view what, const std::string& text,
                  std::string_view advice) {
  const std::string expected = text_from_root(communicator, text);
  if (!any(communicator, text != expected)) return;
  // The first that differs, for the message.
  std::string message;
  const auto texts = communicator.gather(std::as_bytes(std::span(text)));
  for (std::size_t rank = 1; rank < texts.size() && message.empty(); ++rank) {
    std::string other(texts[rank].size(), '\0');
    std::transform(texts[rank].begin(), texts[rank].end(), other.begin(),
                   [](std::byte byte) { return static_cast<char>(byte); });
    if (other == expected) continue;
    message =
        fmt::format("the processes of this job differ in {}: {} in the first, {} in number {}\n{}",
                    what, expected, other, rank + 1, advice);
  }
  throw UserError("{}", text_from_root(communicator, message));
}

}  // namespace barcodemae
