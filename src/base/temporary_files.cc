// SPDX-License-Identifier: MIT
#include "base/temporary_files.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace barcodemae {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kEnding = ".tmp", kReplacedEnding = ".old";

/// A handler may neither allocate nor lock: slots of fixed size, each used by whoever
/// changed its state.
enum SlotState { kFree, kBusy, kRegistered };
struct Slot {
  std::atomic<int> state{kFree};
  char path[4096];
};
static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");
Slot slots[32];
std::atomic<pid_t> owner{0};

extern "C" void remove_and_die(int signal) {
  if (owner == ::getpid()) {  // a forked child has the list, but not the files
    for (Slot& slot : slots) {
      int state = kRegistered;
      if (slot.state.compare_exchange_strong(state, kBusy)) ::unlink(slot.path);
    }
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);  // delivered when this handler returns
}

/// The name that "NAME.<digits>.tmp" stands for; empty for any other.
std::string_view name_of_temporary(std::string_view name) {
  if (!name.ends_with(kEnding)) return {};
  name.remove_suffix(kEnding.size());
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot + 1 == name.size()) return {};
  if (name.find_first_not_of("0123456789", dot + 1) != std::string_view::npos) return {};
  return name.substr(0, dot);
}

void remove_leftover(const fs::path& path) {
  const std::string file = path.filename().string();
  std::string_view name = file;
  const bool replaced = name.ends_with(kReplacedEnding);
  if (replaced) name.remove_suffix(kReplacedEnding.size());
  name = name_of_temporary(name);
  if (name.empty()) return;
  const fs::path own = path.parent_path() / name;
  if (replaced && !fs::exists(own)) {
    fs::rename(path, own);
  } else {
    fs::remove_all(path);
  }
}

}  // namespace

fs::path temporary_beside(const fs::path& path) {
  fs::path temporary = path;
  temporary += fmt::format(".{}{}", ::getpid(), kEnding);
  return temporary;
}

fs::path replaced_beside(const fs::path& temporary) {
  fs::path replaced = temporary;
  replaced += kReplacedEnding;
  return replaced;
}

void remove_leftovers(const fs::path& folder) {
  try {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
    for (const fs::path& path : paths) remove_leftover(path);
  } catch (const fs::filesystem_error& error) {
    throw UserError("cannot clear {} of unfinished files: {}\nCheck its permissions.",
                    folder.string(), error.code().message());
  }
}

void remove_temporaries_on_signals() {
  owner = ::getpid();
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction present {};
    sigaction(signal, nullptr, &present);
    if (present.sa_handler != SIG_DFL) continue;
    struct sigaction action {};
    action.sa_handler = remove_and_die;
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, nullptr);
  }
}

RegisteredTemporary::RegisteredTemporary(const fs::path& path) {
  const std::string& text = path.native();
  if (text.size() >= sizeof(Slot::path)) return;
  for (int i = 0; i < static_cast<int>(std::size(slots)); ++i) {
    int state = kFree;
    if (!slots[i].state.compare_exchange_strong(state, kBusy)) continue;
    std::memcpy(slots[i].path, text.c_str(), text.size() + 1);
    slots[i].state = kRegistered;
    slot_ = i;
    return;
  }
}

RegisteredTemporary::~RegisteredTemporary() {
  if (slot_ < 0) return;
  int state = kRegistered;  // not so when the handler has it: then the process ends anyway
  slots[slot_].state.compare_exchange_strong(state, kFree);
}

}  // namespace barcodemae
