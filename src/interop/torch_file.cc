// SPDX-License-Identifier: MIT
#include "interop/torch_file.h"

#include <zip.h>

#include <array>
#include <cstring>
#include <fstream>
#include <limits>
#include <utility>

#include "base/error.h"
#include "formats/float_types.h"
#include "formats/safetensors.h"

namespace barcodemae {
namespace {

constexpr zip_uint64_t kMostPickleBytes = zip_uint64_t{1} << 26;
constexpr std::size_t kMostDimensions = 8;

struct StorageType {
  const char* storage;  ///< torch.<storage>
  const char* type;     ///< torch.<type>
  int bytes;
};
constexpr StorageType kStorageTypes[] = {
    {"FloatStorage", "float32", 4}, {"DoubleStorage", "float64", 8},
    {"HalfStorage", "float16", 2},  {"BFloat16Storage", "bfloat16", 2},
    {"LongStorage", "int64", 8},    {"IntStorage", "int32", 4},
    {"ShortStorage", "int16", 2},   {"CharStorage", "int8", 1},
    {"ByteStorage", "uint8", 1},    {"BoolStorage", "bool", 1}};

const StorageType* find_type(std::string_view storage, std::string_view type) {
  for (const StorageType& known : kStorageTypes)
    if (storage == known.storage || type == known.type) return &known;
  return nullptr;
}

/// What else a checkpoint can be, and what to do about it.
[[noreturn]] void refuse_other_format(const std::string& source, std::string_view head) {
  if (!head.empty() && static_cast<unsigned char>(head[0]) == 0x80)
    throw UserError(
        "{}: a checkpoint in the format of PyTorch before 1.6\n"
        "Convert it with: tools/convert_checkpoint {} FOLDER; then import FOLDER.",
        source, source);
  throw UserError(
      "{}: expected a checkpoint of torch.save (a zip archive), found something else\n"
      "It may be truncated: download or copy it again.",
      source);
}

}  // namespace

struct TorchFile::Archive {
  std::string source, stem;
  zip_t* zip = nullptr;
  zip_uint64_t archive_bytes = 0;
  std::unique_ptr<Pickle> pickle;
  // Tensors often share a storage; the last one is kept.
  std::string storage_key;
  std::string storage;

  ~Archive() {
    if (zip != nullptr) zip_discard(zip);
  }

  /// A stored entry, whole; its checksum is verified.
  std::string read(const std::string& name, zip_uint64_t most) const {
    zip_stat_t status;
    if (zip_stat(zip, name.c_str(), 0, &status) != 0)
      throw UserError(
          "{}: the archive lacks \"{}\"\nIt is no checkpoint of torch.save, or damaged.", source,
          name);
    constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if ((status.valid & kNeeded) != kNeeded || status.comp_method != ZIP_CM_STORE ||
        status.size != status.comp_size)
      throw UserError("{}: \"{}\" is compressed; torch.save never does so\nSave it again by torch.",
                      source, name);
    if (status.size > archive_bytes || status.size > most)
      throw UserError("{}: \"{}\" says to have {} bytes, more than it can", source, name,
                      static_cast<std::uint64_t>(status.size));
    std::string content(static_cast<std::size_t>(status.size), '\0');
    zip_file_t* const file = zip_fopen(zip, name.c_str(), 0);
    zip_int64_t got = file == nullptr ? -1 : zip_fread(file, content.data(), status.size);
    char beyond = 0;  // reading on is what verifies the checksum
    if (got == static_cast<zip_int64_t>(status.size) && zip_fread(file, &beyond, 1) != 0) got = -1;
    if (file != nullptr) zip_fclose(file);
    if (got != static_cast<zip_int64_t>(status.size))
      throw UserError("{}: \"{}\" cannot be read: damaged\nDownload or copy the file again.",
                      source, name);
    return content;
  }

  bool contains(const std::string& name) const {
    return zip_name_locate(zip, name.c_str(), 0) >= 0;
  }

  /// Finds the folder of the archive and reads its pickle.
  void open() {
    constexpr std::string_view kPickle = "data.pkl";
    const zip_int64_t entries = zip_get_num_entries(zip, 0);
    bool found = false;
    for (zip_int64_t i = 0; i < entries && !found; ++i) {
      const char* const name = zip_get_name(zip, static_cast<zip_uint64_t>(i), 0);
      const std::string_view text = name == nullptr ? "" : name;
      found = text == kPickle || text.ends_with("/data.pkl");
      if (found) stem = text.substr(0, text.size() - kPickle.size());
    }
    if (!found)
      throw UserError(
          "{}: a zip archive without data.pkl: no checkpoint of torch.save\n"
          "Give the .pt file itself, not an archive around it.",
          source);
    if (contains(stem + "byteorder") && read(stem + "byteorder", 16) != "little")
      throw UserError("{}: written on a big-endian machine\nSave it again on another.", source);
    if (contains(stem + "constants.pkl"))
      throw UserError("{}: a TorchScript program, not a checkpoint\nGive what torch.save wrote.",
                      source);
    const std::string name = stem + std::string(kPickle);
    pickle = std::make_unique<Pickle>(read(name, kMostPickleBytes), source + ": " + name);
  }
};

TorchFile::TorchFile(const std::string& path) : archive_(std::make_unique<Archive>()) {
  archive_->source = path;
  std::ifstream stream(path, std::ios::binary | std::ios::ate);
  if (!stream) throw UserError("{}: cannot be opened ({})", path, std::strerror(errno));
  archive_->archive_bytes = static_cast<zip_uint64_t>(std::max<std::streamoff>(stream.tellg(), 0));
  stream.seekg(0);
  std::array<char, 4> head{};
  stream.read(head.data(), head.size());
  const std::string_view begin(head.data(), static_cast<std::size_t>(stream.gcount()));
  if (begin != std::string_view("PK\3\4")) refuse_other_format(path, begin);
  int code = 0;
  archive_->zip = zip_open(path.c_str(), ZIP_RDONLY, &code);
  if (archive_->zip == nullptr)
    throw UserError("{}: a damaged or truncated zip archive\nDownload or copy it again.", path);
  archive_->open();
}

TorchFile::TorchFile(std::span<const std::byte> bytes, const std::string& source)
    : archive_(std::make_unique<Archive>()) {
  archive_->source = source;
  archive_->archive_bytes = bytes.size();
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* const memory = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  if (memory != nullptr) archive_->zip = zip_open_from_source(memory, ZIP_RDONLY, &error);
  zip_error_fini(&error);
  if (archive_->zip == nullptr) {
    if (memory != nullptr) zip_source_free(memory);
    refuse_other_format(source, "");
  }
  archive_->open();
}

TorchFile::~TorchFile() = default;

const Pickle& TorchFile::pickle() const { return *archive_->pickle; }
const std::string& TorchFile::source() const { return archive_->source; }

std::optional<TorchTensor> TorchFile::tensor(Pickle::Id id) const {
  using Kind = Pickle::Kind;
  const Pickle& pickle = *archive_->pickle;
  const auto fail = [&](const char* what) {
    throw UserError("{}: a tensor that torch.save does not write: {}", archive_->source, what);
  };
  const auto arguments = [&](Pickle::Id call) -> const std::vector<Pickle::Id>& {
    const Pickle::Node& node = pickle[pickle[call].items[1]];
    if (node.kind != Kind::kTuple) fail("arguments");
    return node.items;
  };
  if (pickle.is_call_of(id, "torch._utils _rebuild_parameter")) {
    if (arguments(id).empty()) fail("an empty parameter");
    id = arguments(id)[0];
  }
  const bool typed = pickle.is_call_of(id, "torch._utils _rebuild_tensor_v3");
  if (!typed && !pickle.is_call_of(id, "torch._utils _rebuild_tensor_v2")) return std::nullopt;

  // (storage, offset, shape, stride, requires_grad, hooks, and in v3 dtype)
  const std::vector<Pickle::Id>& given = arguments(id);
  if (given.size() < (typed ? 7u : 4u)) fail("too few arguments");
  if (pickle[given[0]].kind != Kind::kPersistent) fail("no storage");
  // ("storage", torch.<Type>Storage, key, device, number of elements)
  const Pickle::Node& storage = pickle[pickle[given[0]].items[0]];
  if (storage.kind != Kind::kTuple || storage.items.size() < 5) fail("storage");
  const Pickle::Node &class_name = pickle[storage.items[1]], &key = pickle[storage.items[2]];
  if (class_name.kind != Kind::kGlobal || key.kind != Kind::kText) fail("storage");

  const auto last_word = [](std::string_view text) {
    return text.substr(text.find_last_of(" .") + 1);
  };
  const StorageType* const type = typed ? (pickle[given[6]].kind == Kind::kGlobal
                                               ? find_type("", last_word(pickle[given[6]].text))
                                               : nullptr)
                                        : find_type(last_word(class_name.text), "");
  TorchTensor tensor;
  tensor.storage = key.text;
  if (type != nullptr) {
    tensor.type = type->type;
    tensor.bytes_per_element = type->bytes;
  } else {
    tensor.type = last_word(class_name.text);  // refused when somebody wants its numbers
  }
  const auto numbers = [&](Pickle::Id tuple) {
    const Pickle::Node& node = pickle[tuple];
    if (node.kind != Kind::kTuple || node.items.size() > kMostDimensions) fail("shape");
    std::vector<std::int64_t> values;
    for (const Pickle::Id item : node.items) {
      if (pickle[item].kind != Kind::kInteger || pickle[item].integer < 0) fail("shape");
      values.push_back(pickle[item].integer);
    }
    return values;
  };
  if (pickle[given[1]].kind != Kind::kInteger || pickle[given[1]].integer < 0) fail("offset");
  tensor.offset = pickle[given[1]].integer;
  tensor.shape = numbers(given[2]);
  tensor.stride = numbers(given[3]);
  if (tensor.shape.size() != tensor.stride.size()) fail("stride");
  return tensor;
}

std::vector<float> TorchFile::floats(const TorchTensor& tensor) const {
  Archive& archive = *archive_;
  if (archive.storage_key != tensor.storage || archive.storage.empty()) {
    archive.storage_key.clear();
    archive.storage = archive.read(archive.stem + "data/" + tensor.storage,
                                   std::numeric_limits<zip_uint64_t>::max());
    archive.storage_key = tensor.storage;
  }
  const auto refuse = [&] {
    throw UserError(
        "{}: a tensor of shape [{}] does not fit into its {} bytes of storage\n"
        "The file is damaged; download or copy it again.",
        archive.source, fmt::join(tensor.shape, ", "), archive.storage.size());
  };
  if (tensor.type != "float32" && tensor.type != "float64" && tensor.type != "float16" &&
      tensor.type != "bfloat16")
    throw UserError("{}: a tensor of type {}, expected floating-point numbers", archive.source,
                    tensor.type);
  const auto capacity =
      static_cast<std::int64_t>(archive.storage.size()) / tensor.bytes_per_element;
  // Neither the number of elements nor the last one's place may exceed the storage: memory stays
  // below the file's size, and no row is one number repeated for ever.
  std::int64_t count = 1, last = tensor.offset;
  for (std::size_t d = 0; d < tensor.shape.size(); ++d) {
    std::int64_t step = 0;
    if (tensor.shape[d] == 0) return {};
    if (__builtin_mul_overflow(count, tensor.shape[d], &count) || count > capacity ||
        __builtin_mul_overflow(tensor.shape[d] - 1, tensor.stride[d], &step) ||
        __builtin_add_overflow(last, step, &last))
      refuse();
  }
  if (last >= capacity) refuse();

  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(count));
  const auto collect = [&](auto stored, auto to_float) {
    using Stored = decltype(stored);
    const char* const data = archive.storage.data();
    std::vector<std::int64_t> index(tensor.shape.size());
    std::int64_t element = tensor.offset;
    for (std::int64_t i = 0; i < count; ++i) {
      std::memcpy(&stored, data + element * static_cast<std::int64_t>(sizeof(Stored)),
                  sizeof(Stored));
      values.push_back(to_float(stored));
      for (std::size_t d = index.size(); d-- > 0;) {
        if (index[d] + 1 < tensor.shape[d]) {
          ++index[d];
          element += tensor.stride[d];
          break;
        }
        element -= index[d] * tensor.stride[d];
        index[d] = 0;
      }
    }
  };
  if (tensor.type == "float32") {
    collect(float{}, [](float value) { return value; });
  } else if (tensor.type == "float64") {
    collect(double{}, [](double value) { return static_cast<float>(value); });
  } else {
    collect(std::uint16_t{}, tensor.type == "float16" ? float_from_half : float_from_bfloat16);
  }
  return values;
}

namespace {

class StateDict : public TensorSource {
 public:
  StateDict(std::shared_ptr<const TorchFile> file, Pickle::Id id) : file_(std::move(file)) {
    const Pickle& pickle = file_->pickle();
    const Pickle::Node& dictionary = pickle[id];
    if (dictionary.kind != Pickle::Kind::kDictionary) return;
    for (std::size_t i = 0; i + 1 < dictionary.items.size(); i += 2) {
      const Pickle::Node& name = pickle[dictionary.items[i]];
      if (name.kind != Pickle::Kind::kText) continue;
      if (auto tensor = file_->tensor(dictionary.items[i + 1])) {
        shapes_.insert_or_assign(std::string(name.text), tensor->shape);
        tensors_.insert_or_assign(std::string(name.text), *std::move(tensor));
      }
    }
  }
  const std::map<std::string, std::vector<std::int64_t>>& shapes() const override {
    return shapes_;
  }
  std::vector<float> floats(const std::string& name) const override {
    return file_->floats(tensors_.at(name));
  }
  const std::string& source() const override { return file_->source(); }

 private:
  std::shared_ptr<const TorchFile> file_;
  std::map<std::string, TorchTensor> tensors_;
  std::map<std::string, std::vector<std::int64_t>> shapes_;
};

class Safetensors : public TensorSource {
 public:
  explicit Safetensors(const std::string& path) : file_(std::filesystem::path(path)) {
    for (const auto& [name, entry] : file_.entries()) shapes_[name] = entry.shape;
  }
  const std::map<std::string, std::vector<std::int64_t>>& shapes() const override {
    return shapes_;
  }
  std::vector<float> floats(const std::string& name) const override {
    const std::vector<std::int64_t>& shape = shapes_.at(name);
    const std::int64_t cols = shape.empty() ? 1 : shape.back();
    return file_.floats(name, shape.size() == 2 ? shape[0] : 1, cols);
  }
  const std::string& source() const override { return file_.source(); }

 private:
  SafetensorsFile file_;
  std::map<std::string, std::vector<std::int64_t>> shapes_;
};

}  // namespace

std::unique_ptr<TensorSource> open_state_dict(std::shared_ptr<const TorchFile> file,
                                              Pickle::Id id) {
  return std::make_unique<StateDict>(std::move(file), id);
}

std::unique_ptr<TensorSource> open_safetensors(const std::string& path) {
  return std::make_unique<Safetensors>(path);
}

}  // namespace barcodemae
