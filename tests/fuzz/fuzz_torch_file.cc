// SPDX-License-Identifier: MIT
// Any bytes as a checkpoint of torch.save (they begin with PK), or as a pickle alone: values that
// can be walked and tensors inside of their storages, or a UserError.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"
#include "interop/torch_file.h"

namespace {

using namespace barcodemae;

void walk(const Pickle& pickle) {
  for (const char* key : {"model", "config", "bert_config", "epoch"}) {
    const auto found = pickle.find(pickle.root(), key);
    if (!found) continue;
    pickle.is_call_of(*found, "argparse Namespace");
    for (const Pickle::Id id : pickle[*found].items) pickle.find(id, "k_mer");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    if (size < 2 || data[0] != 'P' || data[1] != 'K') {
      walk(Pickle(std::string(reinterpret_cast<const char*>(data), size), "fuzz.pkl"));
      return 0;
    }
    const auto file =
        std::make_shared<const TorchFile>(std::as_bytes(std::span(data, size)), "fuzz.pt");
    const Pickle& pickle = file->pickle();
    walk(pickle);
    const auto model = pickle.find(pickle.root(), "model");
    const auto tensors = open_state_dict(file, model.value_or(pickle.root()));
    for (const auto& [name, shape] : tensors->shapes()) {
      try {
        std::size_t elements = 1;
        for (const std::int64_t dimension : shape) elements *= static_cast<std::size_t>(dimension);
        if (tensors->floats(name).size() != elements) __builtin_trap();
      } catch (const UserError&) {  // of another type, or beyond its storage
      }
    }
  } catch (const UserError&) {
  }
  return 0;
}
