# SPDX-License-Identifier: MIT
# Looks for a CUDA toolkit as BARCODEMAE_CUDA says; BARCODEMAE_WITH_CUDA tells whether there is one,
# and then the language is enabled.
set(BARCODEMAE_WITH_CUDA OFF)
if(NOT BARCODEMAE_CUDA)
  return()
endif()

function(barcodemae_accept_nvcc result candidate)
  execute_process(COMMAND ${candidate} --version OUTPUT_VARIABLE text ERROR_QUIET)
  if(NOT text MATCHES "release 1[23]\\.")
    set(${result} FALSE PARENT_SCOPE)
  endif()
endfunction()
if(NOT CMAKE_CUDA_COMPILER)
  find_program(BARCODEMAE_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH
               PATHS /usr/local/cuda ${PROJECT_SOURCE_DIR}/build/cuda-toolkit PATH_SUFFIXES bin
               VALIDATOR barcodemae_accept_nvcc)
  mark_as_advanced(BARCODEMAE_NVCC)
  if(BARCODEMAE_NVCC)
    # Host code by the compiler of everything else, unless it is told otherwise: nvcc knows none
    # that are much newer than itself. (check_language() does not pass the variable on.)
    if(CMAKE_CUDA_HOST_COMPILER)
      set(ENV{CUDAHOSTCXX} ${CMAKE_CUDA_HOST_COMPILER})
    elseif(NOT DEFINED ENV{CUDAHOSTCXX})
      set(ENV{CUDAHOSTCXX} ${CMAKE_CXX_COMPILER})
    endif()
    set(ENV{CUDACXX} ${BARCODEMAE_NVCC})
    unset(CMAKE_CUDA_COMPILER CACHE)  # what did not work before may work now
    include(CheckLanguage)
    check_language(CUDA)
  endif()
endif()
if(CMAKE_CUDA_COMPILER)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 90-virtual)
  endif()
  enable_language(CUDA)
  # Not by find_package(CUDAToolkit): that of CMake 3.25 fails where there is no nvToolsExt, which
  # CUDA 13 has not. CMake itself links the runtime library, the static one.
  find_path(BARCODEMAE_CUBLASLT_INCLUDE cublasLt.h HINTS ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  # The stub is for linking alone: its folder would become the plugin's RPATH.
  set(cuda_library_folders ${CMAKE_CUDA_IMPLICIT_LINK_DIRECTORIES})
  list(FILTER cuda_library_folders EXCLUDE REGEX "/stubs/?$")
  find_library(BARCODEMAE_CUBLASLT cublasLt HINTS ${cuda_library_folders})
  mark_as_advanced(BARCODEMAE_CUBLASLT_INCLUDE BARCODEMAE_CUBLASLT)
  if(BARCODEMAE_CUBLASLT_INCLUDE AND BARCODEMAE_CUBLASLT)
    set(BARCODEMAE_WITH_CUDA ON)
  endif()
endif()
if(NOT BARCODEMAE_WITH_CUDA AND NOT BARCODEMAE_CUDA STREQUAL "AUTO")
  message(FATAL_ERROR
    "BARCODEMAE_CUDA=${BARCODEMAE_CUDA}: there is no CUDA toolkit to use (nvcc 12 or 13, cuBLASLt). "
    "scripts/setup --cuda installs one; CUDA_HOME names one elsewhere; if nvcc refuses the host "
    "compiler, give an older one by -DCMAKE_CUDA_HOST_COMPILER.")
endif()
