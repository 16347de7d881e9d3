// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace barcodemae {

/// Named tensors of a file, whatever its format.
class TensorSource {
 public:
  virtual ~TensorSource() = default;
  /// Name → shape.
  virtual const std::map<std::string, std::vector<std::int64_t>>& shapes() const = 0;
  /// One tensor as float32, row-major. Throws UserError when it holds no floating-point numbers or
  /// lies outside of the file.
  virtual std::vector<float> floats(const std::string& name) const = 0;
  /// The file, for messages.
  virtual const std::string& source() const = 0;
};

/// Throws UserError as SafetensorsFile does.
std::unique_ptr<TensorSource> open_safetensors(const std::string& path);

}  // namespace barcodemae
