// SPDX-License-Identifier: MIT
// Python's pickle, read without executing anything. Data become nodes; what a real unpickler would
// import, call or fill with state becomes nodes that say so, and nothing happens.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace barcodemae {

/// One pickled value and all that it is made of. Nodes are numbered; they may form cycles, so a
/// reader of them bounds its depth.
class Pickle {
 public:
  using Id = std::uint32_t;
  enum class Kind : std::uint8_t {
    kNone,
    kBoolean,     ///< `integer`
    kInteger,     ///< `integer`; a longer one is kOpaque
    kReal,        ///< `real`
    kText,        ///< `text`, UTF-8 as it lies
    kBytes,       ///< `text`
    kTuple,       ///< `items`
    kList,        ///< `items`; sets too
    kDictionary,  ///< `items`: key, value, key, value, …; collections.OrderedDict too
    kGlobal,      ///< `text`: "module name"
    kCall,        ///< `items`: what would be called, its arguments, then what was put into it
    kPersistent,  ///< `items`: the id of something that lies outside of the pickle
    kOpaque,      ///< a value that has no use here
  };
  struct Node {
    Kind kind = Kind::kNone;
    std::int64_t integer = 0;
    double real = 0;
    std::string_view text;
    std::vector<Id> items;
    std::optional<Id> state;  ///< what __setstate__ would be given
  };

  /// Throws UserError naming `source` and the byte when this is no pickle of protocol 2 to 5, is
  /// cut off, or makes more than 2²¹ nodes.
  Pickle(std::string bytes, std::string source);
  Pickle(const Pickle&) = delete;  // nodes point into the bytes
  Pickle& operator=(const Pickle&) = delete;

  Id root() const { return root_; }
  const Node& operator[](Id id) const { return nodes_[id]; }
  const std::string& source() const { return source_; }
  /// The value of a text key; the last one, when a key was set twice. A call that was given a
  /// dictionary as state (an object with attributes, argparse.Namespace) is looked up in that.
  std::optional<Id> find(Id dictionary, std::string_view key) const;
  /// Is it a call of this global ("torch._utils _rebuild_tensor_v2")?
  bool is_call_of(Id id, std::string_view global) const;

 private:
  class Machine;
  /// "module name", kept for the nodes that name it.
  std::string_view intern(std::string_view module, std::string_view name);

  std::string bytes_, source_;
  std::set<std::string> globals_;
  std::vector<Node> nodes_;
  Id root_ = 0;
};

}  // namespace barcodemae
