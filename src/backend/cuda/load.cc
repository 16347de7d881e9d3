// SPDX-License-Identifier: MIT
#include <filesystem>

#include "backend/cuda/cuda.h"
#include "barcodemae_version.h"
#include "base/error.h"
#include "base/plugin.h"
#include "communication/launch.h"

namespace barcodemae {
namespace fs = std::filesystem;

namespace {

constexpr const char* kPluginName = "libbarcodemae_cuda.so";

std::vector<fs::path> places() { return plugin_places(kPluginName, "BARCODEMAE_CUDA_PLUGIN"); }

}  // namespace

const CudaPlugin* find_cuda_plugin() {
  const std::optional<fs::path> file = find_plugin(places());
  if (!file) return nullptr;
  auto* const factory = reinterpret_cast<CudaPluginFactory*>(
      plugin_function(*file, kCudaPluginFactory,
                      "Put the CUDA libraries it was built with into LD_LIBRARY_PATH, or build "
                      "barcodemae again."));
  const std::string interface = std::string(kCudaPluginInterface) + BARCODEMAE_VERSION;
  std::string error;
  const CudaPlugin* plugin = factory(interface.c_str(), error);
  if (plugin == nullptr) throw UserError("{}: {}", file->string(), error);
  return plugin;
}

CudaChoice choose_cuda_device(std::optional<int> number) {
  CudaChoice choice;
  choice.plugin = find_cuda_plugin();
  if (choice.plugin == nullptr) {
    const std::vector<fs::path> looked = places();
    throw UserError(
        "this barcodemae was built without CUDA: there is no {}\n"
        "Build it with CUDA by scripts/setup --cuda, or use --device cpu.",
        looked.empty() ? kPluginName : looked.front().string());
  }
  const std::vector<CudaDevice> devices = choice.plugin->devices();
  const int count = static_cast<int>(devices.size());
  choice.number = number.value_or(read_launch().rank_on_machine % count);
  if (choice.number >= count) {
    throw UserError("there is no GPU cuda:{}: this process sees {}\nUse {}.", choice.number, count,
                    count == 1 ? "cuda:0" : fmt::format("cuda:0 to cuda:{}", count - 1));
  }
  choice.device = devices[static_cast<std::size_t>(choice.number)];
  return choice;
}

std::unique_ptr<Backend> make_cuda_backend(std::optional<int> number) {
  const CudaChoice choice = choose_cuda_device(number);
  return choice.plugin->make_backend(choice.number);
}

std::unique_ptr<Communicator> join_gpus(Backend& backend, Communicator& job) {
  if (backend.in_host_memory() || job.size() == 1) return nullptr;
  const CudaPlugin* plugin = find_cuda_plugin();
  BARCODEMAE_CHECK(plugin != nullptr, "{} without its plugin", backend.name());
  return plugin->join_gpus(backend, job);
}

}  // namespace barcodemae
