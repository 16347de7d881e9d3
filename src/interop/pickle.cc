// SPDX-License-Identifier: MIT
#include "interop/pickle.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/error.h"

namespace barcodemae {
namespace {

constexpr std::size_t kMostNodes = std::size_t{1} << 21;

/// Opcodes of protocols 2 to 5 (Python's Lib/pickle.py names them so).
enum Opcode : unsigned char {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDuplicate = '2',
  kBinInteger = 'J',
  kBinInteger1 = 'K',
  kBinInteger2 = 'M',
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kNone = 'N',
  kTrue = 0x88,
  kFalse = 0x89,
  kBinFloat = 'G',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kBinBytes8 = 0x8e,
  kByteArray8 = 0x96,
  kBinUnicode = 'X',
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kGlobal = 'c',
  kStackGlobal = 0x93,
  kReduce = 'R',
  kBuild = 'b',
  kNewObject = 0x81,
  kNewObjectEx = 0x92,
  kBinPersistentId = 'Q',
  kEmptyTuple = ')',
  kTuple = 't',
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kEmptyList = ']',
  kList = 'l',
  kAppend = 'a',
  kAppends = 'e',
  kEmptyDictionary = '}',
  kDictionary = 'd',
  kSetItem = 's',
  kSetItems = 'u',
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kMemoize = 0x94,
  kProtocol = 0x80,
  kFrame = 0x95,
};

}  // namespace

/// The pickle virtual machine: a stack of nodes, marks in it, and a memo.
class Pickle::Machine {
 public:
  explicit Machine(Pickle& pickle)
      : pickle_(pickle), nodes_(pickle.nodes_), bytes_(pickle.bytes_) {}

  Id run() {
    for (;;) {
      opcode_at_ = at_;
      const auto opcode = static_cast<unsigned char>(take(1)[0]);
      if (opcode == kStop) return pop();
      execute(opcode);
    }
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw UserError("{}: not a pickle that can be read: {} at byte {}", pickle_.source_, what,
                    opcode_at_);
  }

  // The bytes.
  std::string_view take(std::uint64_t count) {
    if (count > bytes_.size() - at_) fail("it is cut off");
    const std::string_view taken =
        std::string_view(bytes_).substr(at_, static_cast<std::size_t>(count));
    at_ += static_cast<std::size_t>(count);
    return taken;
  }
  /// Little-endian.
  std::uint64_t number(int size) {
    std::uint64_t value = 0;
    const std::string_view taken = take(static_cast<std::uint64_t>(size));
    for (int i = size; i-- > 0;)
      value = value << 8 | static_cast<unsigned char>(taken[static_cast<std::size_t>(i)]);
    return value;
  }
  std::string_view line() {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string::npos) fail("it is cut off");
    const std::string_view taken = take(end - at_);
    take(1);
    return taken;
  }

  // Nodes and the stack.
  Id add(Node node) {
    if (nodes_.size() >= kMostNodes) fail(fmt::format("more than {} values", kMostNodes));
    nodes_.push_back(std::move(node));
    return static_cast<Id>(nodes_.size() - 1);
  }
  void push(Id id) { stack_.push_back(id); }
  Node& push_new(Kind kind) {
    push(add({kind, 0, 0, {}, {}, {}}));
    return nodes_.back();
  }
  void push_integer(std::int64_t value) { push_new(Kind::kInteger).integer = value; }
  void push_text(Kind kind, std::uint64_t size) {
    const std::string_view text = take(size);
    push_new(kind).text = text;
  }
  std::size_t bottom() const { return marks_.empty() ? 0 : marks_.back(); }
  Id top() const {
    if (stack_.size() <= bottom()) fail("a value is missing");
    return stack_.back();
  }
  Id pop() {
    const Id id = top();
    stack_.pop_back();
    return id;
  }
  std::vector<Id> pop_to_mark() {
    if (marks_.empty()) fail("a mark is missing");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<Id> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }
  void push_tuple(std::size_t size) {
    std::vector<Id> items(size);
    for (std::size_t i = size; i-- > 0;) items[i] = pop();
    push_new(Kind::kTuple).items = std::move(items);
  }
  /// Into a list, a set, a dictionary, or an object that behaves like one.
  void put(Id container, const std::vector<Id>& items, bool pairs) {
    if (pairs && items.size() % 2 != 0) fail("a key has no value");
    Node& node = nodes_[container];
    const bool fits = node.kind == Kind::kCall ||
                      (pairs ? node.kind == Kind::kDictionary : node.kind == Kind::kList);
    if (!fits) fail("items are put into what holds none");
    node.items.insert(node.items.end(), items.begin(), items.end());
  }
  void call(Id callee, Id arguments) {
    const bool ordered = nodes_[callee].kind == Kind::kGlobal &&
                         nodes_[callee].text == "collections OrderedDict" &&
                         nodes_[arguments].kind == Kind::kTuple && nodes_[arguments].items.empty();
    if (ordered) {
      push_new(Kind::kDictionary);
    } else {
      push_new(Kind::kCall).items = {callee, arguments};
    }
  }

  // The memo.
  void remember(std::uint64_t index) {
    if (index >= kMostNodes) fail("a memo index is out of range");
    const auto place = static_cast<std::size_t>(index);
    if (memo_.size() <= place) memo_.resize(place + 1);
    memo_[place] = top();
    memoized_ = std::max(memoized_, index + 1);
  }
  void recall(std::uint64_t index) {
    if (index >= memo_.size() || !memo_[static_cast<std::size_t>(index)])
      fail("an unknown memo index");
    // What is recalled costs no node, but a place on the stack.
    if (stack_.size() >= kMostNodes) fail("its stack is too deep");
    push(*memo_[static_cast<std::size_t>(index)]);
  }

  void execute(unsigned char opcode);
  bool execute_value(unsigned char opcode);
  bool execute_container(unsigned char opcode);

  Pickle& pickle_;
  std::vector<Node>& nodes_;
  const std::string& bytes_;
  std::size_t at_ = 0, opcode_at_ = 0;
  std::vector<Id> stack_;
  std::vector<std::size_t> marks_;
  std::vector<std::optional<Id>> memo_;
  std::uint64_t memoized_ = 0;
};

/// Numbers, texts, constants.
bool Pickle::Machine::execute_value(unsigned char opcode) {
  switch (opcode) {
    case kNone:
      push_new(Kind::kNone);
      return true;
    case kTrue:
    case kFalse:
      push_new(Kind::kBoolean).integer = opcode == kTrue ? 1 : 0;
      return true;
    case kBinInteger:
      push_integer(static_cast<std::int32_t>(number(4)));
      return true;
    case kBinInteger1:
      push_integer(static_cast<std::int64_t>(number(1)));
      return true;
    case kBinInteger2:
      push_integer(static_cast<std::int64_t>(number(2)));
      return true;
    case kLong1:
    case kLong4: {
      const std::uint64_t size = number(opcode == kLong1 ? 1 : 4);
      if (size > 8) {
        take(size);
        push_new(Kind::kOpaque);
        return true;
      }
      std::uint64_t value = number(static_cast<int>(size));
      // Two's complement of `size` bytes.
      if (size > 0 && size < 8 && (value >> (8 * size - 1)) != 0)
        value |= ~std::uint64_t{0} << (8 * size);
      push_integer(static_cast<std::int64_t>(value));
      return true;
    }
    case kBinFloat: {  // big-endian, unlike everything else
      std::uint64_t bits = 0;
      for (const char byte : take(8)) bits = bits << 8 | static_cast<unsigned char>(byte);
      push_new(Kind::kReal).real = std::bit_cast<double>(bits);
      return true;
    }
    case kBinUnicode:
    case kBinString:
      push_text(Kind::kText, number(4));
      return true;
    case kShortBinUnicode:
    case kShortBinString:
      push_text(Kind::kText, number(1));
      return true;
    case kBinUnicode8:
      push_text(Kind::kText, number(8));
      return true;
    case kBinBytes:
      push_text(Kind::kBytes, number(4));
      return true;
    case kShortBinBytes:
      push_text(Kind::kBytes, number(1));
      return true;
    case kBinBytes8:
    case kByteArray8:
      push_text(Kind::kBytes, number(8));
      return true;
    default:
      return false;
  }
}

/// Tuples, lists, sets, dictionaries.
bool Pickle::Machine::execute_container(unsigned char opcode) {
  switch (opcode) {
    case kEmptyTuple:
      push_tuple(0);
      return true;
    case kTuple1:
      push_tuple(1);
      return true;
    case kTuple2:
      push_tuple(2);
      return true;
    case kTuple3:
      push_tuple(3);
      return true;
    case kTuple: {
      std::vector<Id> items = pop_to_mark();
      push_new(Kind::kTuple).items = std::move(items);
      return true;
    }
    case kEmptyList:
    case kEmptySet:
      push_new(Kind::kList);
      return true;
    case kList:
    case kFrozenSet: {
      std::vector<Id> items = pop_to_mark();
      push_new(Kind::kList).items = std::move(items);
      return true;
    }
    case kAppend: {
      const Id item = pop();
      put(top(), {item}, false);
      return true;
    }
    case kAppends:
    case kAddItems: {
      const std::vector<Id> items = pop_to_mark();
      put(top(), items, false);
      return true;
    }
    case kEmptyDictionary:
      push_new(Kind::kDictionary);
      return true;
    case kDictionary: {
      const std::vector<Id> items = pop_to_mark();
      push_new(Kind::kDictionary);
      put(top(), items, true);
      return true;
    }
    case kSetItem: {
      const Id value = pop(), key = pop();
      put(top(), {key, value}, true);
      return true;
    }
    case kSetItems: {
      const std::vector<Id> items = pop_to_mark();
      put(top(), items, true);
      return true;
    }
    default:
      return false;
  }
}

void Pickle::Machine::execute(unsigned char opcode) {
  if (execute_value(opcode) || execute_container(opcode)) return;
  switch (opcode) {
    case kProtocol:
      if (const std::uint64_t protocol = number(1); protocol < 2 || protocol > 5)
        fail(fmt::format("protocol {}", protocol));
      return;
    case kFrame:
      number(8);  // only a hint for buffering
      return;
    case kMark:
      marks_.push_back(stack_.size());
      if (marks_.size() > kMostNodes) fail("its stack is too deep");
      return;
    case kPop:
      // Popping right above a mark takes the mark.
      if (!marks_.empty() && stack_.size() == marks_.back()) {
        marks_.pop_back();
      } else {
        pop();
      }
      return;
    case kPopMark:
      pop_to_mark();
      return;
    case kDuplicate:
      if (stack_.size() >= kMostNodes) fail("its stack is too deep");
      push(top());
      return;
    case kGlobal:
    case kStackGlobal: {
      std::string_view module, name;
      if (opcode == kGlobal) {
        module = line();
        name = line();
      } else {
        const Id second = pop(), first = pop();
        if (nodes_[first].kind != Kind::kText || nodes_[second].kind != Kind::kText)
          fail("a global without a name");
        module = nodes_[first].text;
        name = nodes_[second].text;
      }
      push_new(Kind::kGlobal).text = pickle_.intern(module, name);
      return;
    }
    case kReduce:
    case kNewObject: {
      const Id arguments = pop(), callee = pop();
      call(callee, arguments);
      return;
    }
    case kNewObjectEx: {
      pop();  // keyword arguments
      const Id arguments = pop(), callee = pop();
      call(callee, arguments);
      return;
    }
    case kBuild: {
      const Id state = pop();
      nodes_[top()].state = state;
      return;
    }
    case kBinPersistentId: {
      const Id id = pop();
      push_new(Kind::kPersistent).items = {id};
      return;
    }
    case kBinGet:
      return recall(number(1));
    case kLongBinGet:
      return recall(number(4));
    case kBinPut:
      return remember(number(1));
    case kLongBinPut:
      return remember(number(4));
    case kMemoize:
      return remember(memoized_);
    default:
      fail(fmt::format("opcode 0x{:02x}", opcode));
  }
}

Pickle::Pickle(std::string bytes, std::string source)
    : bytes_(std::move(bytes)), source_(std::move(source)) {
  root_ = Machine(*this).run();
}

std::string_view Pickle::intern(std::string_view module, std::string_view name) {
  return *globals_.insert(fmt::format("{} {}", module, name)).first;
}

std::optional<Pickle::Id> Pickle::find(Id dictionary, std::string_view key) const {
  const Node* node = &nodes_[dictionary];
  if (node->kind == Kind::kCall && node->state) node = &nodes_[*node->state];
  if (node->kind != Kind::kDictionary) return std::nullopt;
  for (std::size_t i = node->items.size(); i >= 2; i -= 2) {
    const Node& name = nodes_[node->items[i - 2]];
    if (name.kind == Kind::kText && name.text == key) return node->items[i - 1];
  }
  return std::nullopt;
}

bool Pickle::is_call_of(Id id, std::string_view global) const {
  const Node& node = nodes_[id];
  if (node.kind != Kind::kCall) return false;
  const Node& callee = nodes_[node.items[0]];
  return callee.kind == Kind::kGlobal && callee.text == global;
}

}  // namespace barcodemae
