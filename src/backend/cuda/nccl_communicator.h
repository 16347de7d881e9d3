// SPDX-License-Identifier: MIT
// Jobs of several processes that have a GPU each.
#pragma once

#include <memory>

#include "backend/cuda/cuda_backend.h"
#include "communication/communicator.h"

namespace barcodemae::cuda {

/// CudaPlugin::join_gpus(). NCCL (libnccl.so.2, or what $BARCODEMAE_NCCL_LIBRARY names) is loaded
/// here, so that one process needs none.
std::unique_ptr<Communicator> make_nccl_communicator(CudaBackend& backend, Communicator& job);

}  // namespace barcodemae::cuda
