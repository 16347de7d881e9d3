# SPDX-License-Identifier: MIT
# The CUDA backend: for the plugin, and for the tests that run its kernels on the CPU.
set(backend_cuda_sources attention_block.cc cross_entropy.cc cuda_backend.cc embed.cc
                         feed_forward_block.cc gemm.cc label_loss.cc linear.cc memory.cc
                         nccl_communicator.cc
                         optimizer.cc rows.cc)
set(backend_cuda_kernels attention.cu attention_whole.cu cross_entropy.cu gelu.cu label_loss.cu
                         norm.cu optimizer.cu rows.cu)
list(TRANSFORM backend_cuda_kernels PREPEND kernels/)
list(TRANSFORM backend_cuda_sources PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
list(TRANSFORM backend_cuda_kernels PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
