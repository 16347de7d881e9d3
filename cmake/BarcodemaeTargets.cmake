# SPDX-License-Identifier: MIT
# One static library per folder of src/. A target can include and call only the folders it links:
# each folder is published through an include root of its own, so a forbidden include does not build.

add_library(barcodemae_build_flags INTERFACE)
target_compile_features(barcodemae_build_flags INTERFACE cxx_std_20)
set(flags -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
          -ffp-contract=off)
# The code that nvcc makes of ours, and CUDA's headers, do not stand the other warnings.
set(cuda_flags -Xcompiler=-Wall,-Wextra)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False positives on std::string's operator+ and insert (GCC bug 105651).
  list(APPEND flags -Wno-restrict)
endif()
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Where a folder is compiled as one source, GCC takes each .cc for a header.
  list(APPEND flags -Wno-subobject-linkage)
endif()
if(BARCODEMAE_WERROR)
  list(APPEND flags -Werror)
  list(APPEND cuda_flags -Werror=all-warnings)
endif()
if(BARCODEMAE_SANITIZE)
  list(APPEND flags
    -fsanitize=${BARCODEMAE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(barcodemae_build_flags INTERFACE -fsanitize=${BARCODEMAE_SANITIZE})
endif()
target_compile_options(barcodemae_build_flags INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:${flags}>" "$<$<COMPILE_LANGUAGE:CUDA>:${cuda_flags}>")

# barcodemae_include_root(<variable> <name> <folder below src>)
# Makes an include root through which the folder's headers, and no others, are included as
# "<folder>/<file>.h".
function(barcodemae_include_root variable name folder)
  set(root ${PROJECT_BINARY_DIR}/include-roots/${name})
  # One-line headers that forward to the real ones (links to src/ would let a careless removal of a
  # build folder reach the sources).
  file(GLOB headers RELATIVE ${PROJECT_SOURCE_DIR}/src CONFIGURE_DEPENDS
       ${PROJECT_SOURCE_DIR}/src/${folder}/*.h ${PROJECT_SOURCE_DIR}/src/${folder}/*.cuh)
  file(MAKE_DIRECTORY ${root})
  foreach(header ${headers})
    file(CONFIGURE OUTPUT ${root}/${header}
         CONTENT "#include \"${PROJECT_SOURCE_DIR}/src/${header}\"  // IWYU pragma: export\n" @ONLY)
  endforeach()
  set(${variable} ${root} PARENT_SCOPE)
endfunction()

# barcodemae_library(<name> FOLDER <folder below src> SOURCES <files> [DEPENDS <targets>])
# Makes barcodemae_<name>, whose headers are included as "<folder>/<file>.h".
function(barcodemae_library name)
  cmake_parse_arguments(ARG "" "FOLDER" "SOURCES;DEPENDS" ${ARGN})
  set(target barcodemae_${name})
  barcodemae_include_root(root ${name} ${ARG_FOLDER})
  list(TRANSFORM ARG_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/src/${ARG_FOLDER}/)
  add_library(${target} STATIC ${ARG_SOURCES})
  target_include_directories(${target} PUBLIC ${root})
  target_link_libraries(${target} PUBLIC barcodemae_build_flags ${ARG_DEPENDS})
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()
