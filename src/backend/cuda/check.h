// SPDX-License-Identifier: MIT
// Error codes of CUDA's libraries as exceptions.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

namespace barcodemae::cuda {

/// Throws UserError when the device lacks memory, InternalError for every other failure; both name
/// the error. Kernels run later than they are called, so a call may report what an earlier one did.
void check(cudaError_t status);
void check(cublasStatus_t status);

}  // namespace barcodemae::cuda
