// SPDX-License-Identifier: MIT
// What torch.save writes since PyTorch 1.6: a zip archive of stored entries, <stem>/data.pkl and
// the numbers in <stem>/data/<key>. Read without executing anything.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "interop/pickle.h"
#include "interop/tensor_source.h"

namespace barcodemae {

/// A tensor of the pickle: where its numbers lie.
struct TorchTensor {
  std::string storage;  ///< key of the storage: <stem>/data/<storage>
  std::string type;     ///< "float32", "bfloat16", "int64", …
  int bytes_per_element = 0;
  std::int64_t offset = 0;  ///< in elements
  std::vector<std::int64_t> shape, stride;
};

class TorchFile {
 public:
  /// Throws UserError (file, what was expected, what to do) when it is no such archive; an archive
  /// of the time before is refused by name.
  explicit TorchFile(const std::string& path);
  /// The same from bytes in memory (fuzzing).
  TorchFile(std::span<const std::byte> bytes, const std::string& source);
  ~TorchFile();
  TorchFile(const TorchFile&) = delete;
  TorchFile& operator=(const TorchFile&) = delete;

  const Pickle& pickle() const;
  /// nullopt when the node is no tensor. Throws UserError when it is one that no torch writes.
  std::optional<TorchTensor> tensor(Pickle::Id id) const;
  /// The numbers, row-major, whatever the strides. Throws UserError when they lie outside of their
  /// storage or are not floating-point.
  std::vector<float> floats(const TorchTensor& tensor) const;
  const std::string& source() const;

 private:
  struct Archive;
  std::unique_ptr<Archive> archive_;
};

/// The tensors of a state dict, the node `id` of the file; other values in it are left out.
std::unique_ptr<TensorSource> open_state_dict(std::shared_ptr<const TorchFile> file, Pickle::Id id);

}  // namespace barcodemae
