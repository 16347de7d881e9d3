// SPDX-License-Identifier: MIT
// The safetensors container (https://github.com/huggingface/safetensors), read and written whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace barcodemae {

enum class StoredType { kF32, kF64, kF16, kBF16, kI64, kI32, kI8, kU8, kOther };

/// Behind the name of an I8 tensor: the scales of its rows.
inline constexpr const char* kInt8ScaleSuffix = "_scale";

/// Tensors of one file, validated: sorted, without holes, overlaps or trailing bytes.
class SafetensorsFile {
 public:
  struct Entry {
    StoredType type = StoredType::kOther;
    std::string type_name;
    std::vector<std::int64_t> shape;
    std::size_t begin = 0, end = 0;  ///< in the byte buffer
    std::int64_t elements() const;
  };

  /// Maps the file. Throws UserError (file, what was expected, what to do) on anything malformed.
  explicit SafetensorsFile(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) = delete;
  /// The same checks on bytes in memory (fuzzing); `source` names them in messages.
  static SafetensorsFile from_memory(std::vector<std::byte> bytes, std::string source);

  const std::map<std::string, Entry>& entries() const { return entries_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  bool contains(const std::string& name) const { return entries_.count(name) != 0; }
  std::span<const std::byte> bytes(const std::string& name) const;
  /// As float32 (from F32, F64, F16, BF16, and I8 with F32 scales [rows, 1] of its rows under the
  /// name + "_scale") when the shape is [rows, cols] ([cols] when rows is 1).
  /// Throws UserError naming the tensor when it is missing or shaped otherwise.
  std::vector<float> floats(const std::string& name, std::int64_t rows, std::int64_t cols) const;
  const std::string& source() const { return source_; }

 private:
  SafetensorsFile() = default;
  void parse();
  std::string source_;
  std::vector<std::byte> owned_;
  void* mapping_ = nullptr;
  std::span<const std::byte> file_, buffer_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

/// One tensor to write. Floats are converted to `type` (kF32, kF16, kBF16), or made when their turn
/// comes, so that not all tensors are in memory at once; other types are given as raw bytes.
struct TensorToWrite {
  std::string name;
  StoredType type = StoredType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const float> floats;
  std::span<const std::byte> raw;
  std::function<std::vector<float>()> make_floats = {};
};

/// Writes atomically, in the reference writer's order (descending alignment, then name).
void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace barcodemae
