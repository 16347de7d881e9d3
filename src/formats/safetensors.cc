// SPDX-License-Identifier: MIT
#include "formats/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <set>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "formats/float_types.h"
#include "formats/json.h"

namespace barcodemae {
namespace {

constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;  // the format's own limit

/// In the reference implementation's order of increasing alignment, which is also its order in a
/// file, reversed. Types below a byte are known so that they can be refused by name.
struct TypeInfo {
  const char* name;
  int bits;
  StoredType type;
};
constexpr TypeInfo kTypes[] = {
    {"BOOL", 8, StoredType::kOther},
    {"F4", 4, StoredType::kOther},
    {"F6_E2M3", 6, StoredType::kOther},
    {"F6_E3M2", 6, StoredType::kOther},
    {"U8", 8, StoredType::kU8},
    {"I8", 8, StoredType::kI8},
    {"I8", 8, StoredType::kOther},
    {"F8_E5M2", 8, StoredType::kOther},
    {"F8_E4M3", 8, StoredType::kOther},
    {"F8_E8M0", 8, StoredType::kOther},
    {"F8_E4M3FNUZ", 8, StoredType::kOther},
    {"F8_E5M2FNUZ", 8, StoredType::kOther},
    {"I16", 16, StoredType::kOther},
    {"U16", 16, StoredType::kOther},
    {"F16", 16, StoredType::kF16},
    {"BF16", 16, StoredType::kBF16},
    {"I32", 32, StoredType::kI32},
    {"U32", 32, StoredType::kOther},
    {"F32", 32, StoredType::kF32},
    {"C64", 64, StoredType::kOther},
    {"F64", 64, StoredType::kF64},
    {"I64", 64, StoredType::kI64},
    {"U64", 64, StoredType::kOther},
};

const TypeInfo* find_type(const std::string& name) {
  for (const TypeInfo& info : kTypes)
    if (name == info.name) return &info;
  return nullptr;
}

const TypeInfo& info_of(StoredType type) {
  for (const TypeInfo& info : kTypes)
    if (info.type == type && type != StoredType::kOther) return info;
  BARCODEMAE_CHECK(false, "no such type can be written");
}

std::size_t elements(const TensorToWrite& tensor) {
  std::size_t product = 1;
  for (const std::int64_t dimension : tensor.shape) product *= static_cast<std::size_t>(dimension);
  return product;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

template <typename T>
T load(const std::byte* bytes) {  // the format promises no alignment
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

/// A whole number in a header: negative, fractional and huge values are not.
bool is_size(const nlohmann::json& value) {
  return value.is_number_unsigned() &&
         value.get<std::uint64_t>() <= std::numeric_limits<std::int64_t>::max();
}

}  // namespace

std::int64_t SafetensorsFile::Entry::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t dimension : shape) product *= dimension;
  return product;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : source_(path.string()) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw UserError("{}: cannot be opened ({})", source_, std::strerror(errno));
  struct stat status {};
  const bool regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  const std::size_t size = regular ? static_cast<std::size_t>(status.st_size) : 0;
  void* mapping = size ? ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0) : MAP_FAILED;
  ::close(descriptor);
  if (!regular) throw UserError("{}: expected a safetensors file, found no regular file", source_);
  if (size == 0) throw UserError("{}: expected a safetensors file, found an empty file", source_);
  if (mapping == MAP_FAILED) throw UserError("{}: cannot be mapped into memory", source_);
  file_ = {static_cast<const std::byte*>(mapping), size};
  try {
    parse();
  } catch (...) {
    ::munmap(mapping, size);
    throw;
  }
  mapping_ = mapping;
}

SafetensorsFile::~SafetensorsFile() {
  if (mapping_) ::munmap(mapping_, file_.size());
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept
    : source_(std::move(other.source_)),
      owned_(std::move(other.owned_)),
      mapping_(std::exchange(other.mapping_, nullptr)),
      file_(other.file_),
      buffer_(other.buffer_),
      entries_(std::move(other.entries_)),
      metadata_(std::move(other.metadata_)) {}

SafetensorsFile SafetensorsFile::from_memory(std::vector<std::byte> bytes, std::string source) {
  SafetensorsFile file;
  file.source_ = std::move(source);
  file.owned_ = std::move(bytes);
  file.file_ = file.owned_;
  file.parse();
  return file;
}

void SafetensorsFile::parse() {
  if (file_.size() < 8)
    throw UserError("{}: expected a safetensors file, found {} bytes", source_, file_.size());
  const auto header_size = load<std::uint64_t>(file_.data());
  if (header_size > kMaxSafetensorsHeader)
    throw UserError(
        "{}: not a safetensors file (its first 8 bytes would mean a header of {} bytes)", source_,
        header_size);
  if (header_size > file_.size() - 8)
    throw UserError(
        "{}: truncated, or not a safetensors file: a header of {} bytes was announced, {} follow\n"
        "Copy or download the file again.",
        source_, header_size, file_.size() - 8);
  const std::string_view header(reinterpret_cast<const char*>(file_.data()) + 8, header_size);
  if (header.empty() || header.front() != '{')
    throw UserError("{}: not a safetensors file (its header is no JSON object)", source_);
  buffer_ = file_.subspan(8 + header_size);
  const nlohmann::json json = parse_json_object(header, source_);

  for (const auto& [name, value] : json.items()) {
    if (name == "__metadata__") {
      if (!value.is_object())
        throw UserError("{}: __metadata__ must be an object of strings", source_);
      for (const auto& [key, text] : value.items()) {
        if (!text.is_string())
          throw UserError("{}: __metadata__ must be an object of strings; \"{}\" is none", source_,
                          key);
        metadata_[key] = text.get<std::string>();
      }
      continue;
    }
    if (!value.is_object() || value.size() != 3 || !value.contains("dtype") ||
        !value.contains("shape") || !value.contains("data_offsets"))
      throw UserError("{}: tensor \"{}\" must have dtype, shape and data_offsets and nothing else",
                      source_, name);
    Entry entry;
    if (!value["dtype"].is_string())
      throw UserError("{}: tensor \"{}\": dtype must be a string", source_, name);
    entry.type_name = value["dtype"].get<std::string>();
    const TypeInfo* info = find_type(entry.type_name);
    if (!info)
      throw UserError("{}: tensor \"{}\" has the unknown type \"{}\"", source_, name,
                      entry.type_name);
    entry.type = info->type;

    if (!value["shape"].is_array())
      throw UserError("{}: tensor \"{}\": shape must be an array of sizes", source_, name);
    std::uint64_t bits = static_cast<std::uint64_t>(info->bits);
    for (const auto& dimension : value["shape"]) {
      if (!is_size(dimension))
        throw UserError("{}: tensor \"{}\": shape must be an array of sizes", source_, name);
      entry.shape.push_back(dimension.get<std::int64_t>());
      // The bound keeps elements() in range as well, whichever dimension is zero.
      if (__builtin_mul_overflow(bits, std::max<std::uint64_t>(dimension.get<std::uint64_t>(), 1),
                                 &bits) ||
          bits > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        throw UserError("{}: tensor \"{}\" is too large: {} {}", source_, name, entry.type_name,
                        shape_text(entry.shape));
    }
    if (entry.elements() == 0) bits = 0;
    if (bits % 8 != 0)
      throw UserError("{}: tensor \"{}\" ({} {}) does not end on a byte", source_, name,
                      entry.type_name, shape_text(entry.shape));

    const auto& offsets = value["data_offsets"];
    if (!offsets.is_array() || offsets.size() != 2 || !is_size(offsets[0]) || !is_size(offsets[1]))
      throw UserError("{}: tensor \"{}\": data_offsets must be two positions", source_, name);
    entry.begin = offsets[0].get<std::size_t>();
    entry.end = offsets[1].get<std::size_t>();
    if (entry.begin > entry.end || entry.end > buffer_.size())
      throw UserError(
          "{}: tensor \"{}\" lies at bytes {} to {}, but the file holds {} bytes of data\n"
          "It is truncated or damaged; copy or download it again.",
          source_, name, entry.begin, entry.end, buffer_.size());
    if (entry.end - entry.begin != bits / 8)
      throw UserError("{}: tensor \"{}\" ({} {}) needs {} bytes, but is given {}", source_, name,
                      entry.type_name, shape_text(entry.shape), bits / 8, entry.end - entry.begin);
    entries_.emplace(name, std::move(entry));
  }

  // End to end without holes or overlaps, so that no byte has two meanings or none.
  std::vector<std::pair<const std::string, Entry>*> ordered;
  for (auto& item : entries_) ordered.push_back(&item);
  std::sort(ordered.begin(), ordered.end(), [](const auto* a, const auto* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  std::size_t end = 0;
  for (const auto* item : ordered) {
    if (item->second.begin != end)
      throw UserError(
          "{}: tensor \"{}\" begins at byte {} of the data, {} the tensor before it ends at {}",
          source_, item->first, item->second.begin,
          item->second.begin < end ? "overlapping:" : "leaving a hole:", end);
    end = item->second.end;
  }
  if (end != buffer_.size())
    throw UserError("{}: {} bytes follow the last tensor; expected the file to end there", source_,
                    buffer_.size() - end);
}

std::span<const std::byte> SafetensorsFile::bytes(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) throw UserError("{}: there is no tensor \"{}\"", source_, name);
  return buffer_.subspan(found->second.begin, found->second.end - found->second.begin);
}

std::vector<float> SafetensorsFile::floats(const std::string& name, std::int64_t rows,
                                           std::int64_t cols) const {
  const auto found = entries_.find(name);
  if (found == entries_.end())
    throw UserError("{}: there is no tensor \"{}\" (expected one of shape [{}, {}])", source_, name,
                    rows, cols);
  const Entry& entry = found->second;
  const bool fits =
      entry.shape == std::vector{rows, cols} || (rows == 1 && entry.shape == std::vector{cols});
  if (!fits)
    throw UserError("{}: tensor \"{}\" has the shape {}, expected {}", source_, name,
                    shape_text(entry.shape),
                    rows == 1 ? shape_text({cols}) : shape_text({rows, cols}));
  const std::byte* data = bytes(name).data();
  std::vector<float> values(static_cast<std::size_t>(rows * cols));
  const auto convert = [&](auto stored, auto to_float) {
    using Stored = decltype(stored);
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = to_float(load<Stored>(data + i * sizeof(Stored)));
  };
  switch (entry.type) {
    case StoredType::kF32:
      if (!values.empty()) std::memcpy(values.data(), data, values.size() * sizeof(float));
      break;
    case StoredType::kF64:
      convert(double{}, [](double value) { return static_cast<float>(value); });
      break;
    case StoredType::kF16:
      convert(std::uint16_t{}, float_from_half);
      break;
    case StoredType::kBF16:
      convert(std::uint16_t{}, float_from_bfloat16);
      break;
    case StoredType::kI8: {
      const std::vector<float> scales = floats(name + kInt8ScaleSuffix, rows, 1);
      convert(std::int8_t{}, [](std::int8_t value) { return static_cast<float>(value); });
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] *= scales[i / static_cast<std::size_t>(cols)];
      }
      break;
    }
    default:
      throw UserError("{}: tensor \"{}\" is of type {}, expected F32, F64, F16, BF16 or I8",
                      source_, name, entry.type_name);
  }
  return values;
}

void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const TensorToWrite*> ordered;
  std::set<std::string> names{"__metadata__"};
  for (const TensorToWrite& tensor : tensors) {
    BARCODEMAE_CHECK(names.insert(tensor.name).second, "tensor name \"{}\" cannot be used",
                     tensor.name);
    ordered.push_back(&tensor);
  }
  std::sort(ordered.begin(), ordered.end(), [](const TensorToWrite* a, const TensorToWrite* b) {
    const TypeInfo *type_a = &info_of(a->type), *type_b = &info_of(b->type);
    return type_a != type_b ? type_a > type_b : a->name < b->name;
  });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t end = 0;
  for (const TensorToWrite* tensor : ordered) {
    const TypeInfo& info = info_of(tensor->type);
    const std::size_t count = elements(*tensor);
    const std::size_t size = count * static_cast<std::size_t>(info.bits) / 8;
    BARCODEMAE_CHECK(
        tensor->make_floats || tensor->floats.size() == count || tensor->raw.size() == size,
        "tensor \"{}\" has the shape {} but {} values", tensor->name, shape_text(tensor->shape),
        tensor->floats.size());
    header[tensor->name] = {
        {"dtype", info.name}, {"shape", tensor->shape}, {"data_offsets", {end, end + size}}};
    end += size;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');

  AtomicFile file(path);
  const auto header_size = static_cast<std::uint64_t>(text.size());
  file.write(&header_size, sizeof(header_size));
  file.write(text);
  std::vector<std::uint16_t> halves;
  for (const TensorToWrite* tensor : ordered) {
    const std::vector<float> made =
        tensor->make_floats ? tensor->make_floats() : std::vector<float>{};
    const std::span<const float> floats = tensor->make_floats ? std::span(made) : tensor->floats;
    BARCODEMAE_CHECK(!tensor->make_floats || made.size() == elements(*tensor),
                     "tensor \"{}\" has the shape {} but {} values", tensor->name,
                     shape_text(tensor->shape), made.size());
    if (floats.empty()) {
      file.write(tensor->raw.data(), tensor->raw.size());
    } else if (tensor->type == StoredType::kF32) {
      file.write(floats.data(), floats.size_bytes());
    } else {
      BARCODEMAE_CHECK(tensor->type == StoredType::kF16 || tensor->type == StoredType::kBF16,
                       "floats of tensor \"{}\" cannot be stored as {}", tensor->name,
                       info_of(tensor->type).name);
      halves.resize(floats.size());
      std::transform(floats.begin(), floats.end(), halves.begin(),
                     tensor->type == StoredType::kF16 ? half_from_float : bfloat16_from_float);
      file.write(halves.data(), halves.size() * sizeof(std::uint16_t));
    }
  }
  file.commit();
}

}  // namespace barcodemae
