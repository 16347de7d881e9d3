// SPDX-License-Identifier: MIT
#include "cli/finetune_run.h"

#include <csignal>
#include <memory>
#include <optional>
#include <utility>

#include "backend/backends.h"
#include "cli/command.h"
#include "train/interruption.h"

namespace barcodemae {

FinetuneResult finetune_until_signal(const std::filesystem::path& model,
                                     const std::filesystem::path& data,
                                     const std::filesystem::path& out,
                                     const FinetuneOptions& options, const std::string& device,
                                     Communicator& communicator) {
  const std::unique_ptr<Backend> backend = make_backend(device);
  const std::unique_ptr<Communicator> gpus = join_gpus(*backend, communicator);
  int signal = 0;
  {
    // Until the training asks for the first time there is nothing to save: signals end it at once.
    std::optional<InterruptionGuard> guard;
    const auto stop = [&](std::int64_t) {
      if (!guard) guard.emplace();
      return InterruptionGuard::received() != 0;
    };
    std::optional<FinetuneResult> result =
        finetune(model, data, out, options, *backend, stop, gpus ? *gpus : communicator);
    if (result) return *std::move(result);
    signal = InterruptionGuard::received();
  }
  if (signal == 0) signal = SIGTERM;  // another process of the job was told to stop
  throw EndedBySignal{signal};
}

}  // namespace barcodemae
