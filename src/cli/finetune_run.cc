// SPDX-License-Identifier: MIT
#include "cli/finetune_run.h"

#include <memory>

#include "backend/backends.h"
#include "cli/until_signal.h"

namespace barcodemae {

FinetuneResult finetune_until_signal(const std::filesystem::path& model,
                                     const std::filesystem::path& data,
                                     const std::filesystem::path& out,
                                     const FinetuneOptions& options, const std::string& device,
                                     Communicator& communicator) {
  const std::unique_ptr<Backend> backend = make_backend(device);
  const std::unique_ptr<Communicator> gpus = join_gpus(*backend, communicator);
  return until_signal([&](const StopRequest& stop) {
    return finetune(model, data, out, options, *backend, stop, gpus ? *gpus : communicator);
  });
}

}  // namespace barcodemae
