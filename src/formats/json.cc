// SPDX-License-Identifier: MIT
#include "formats/json.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <vector>

#include "base/error.h"

namespace barcodemae {
namespace {

constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxQuoted = 60;  // characters of a foreign value shown in a message

std::string quoted(const nlohmann::json& value) {
  std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text.size() > kMaxQuoted) text = text.substr(0, kMaxQuoted) + "…";
  return text;
}

}  // namespace

nlohmann::json parse_json_object(std::string_view text, const std::string& source) {
  using Parsed = nlohmann::json;
  std::vector<std::set<std::string>> keys;  // of the objects being read
  const auto watch = [&](int depth, Parsed::parse_event_t event, Parsed& parsed) {
    if (depth > kMaxDepth)
      throw UserError("{}: JSON nested deeper than {} levels", source, kMaxDepth);
    if (event == Parsed::parse_event_t::object_start) keys.emplace_back();
    if (event == Parsed::parse_event_t::object_end) keys.pop_back();
    if (event == Parsed::parse_event_t::key &&
        !keys.back().insert(parsed.get<std::string>()).second)
      throw UserError("{}: the key {} occurs twice in one JSON object", source, quoted(parsed));
    return true;
  };
  Parsed result;
  try {
    result = Parsed::parse(text.begin(), text.end(), watch);
  } catch (const Parsed::parse_error& error) {
    const std::size_t end = std::min(error.byte, text.size());
    const auto line =
        1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), '\n');
    throw UserError(
        "{}, line {}: malformed JSON at byte {}\nThe file is damaged or was edited by hand; "
        "restore it.",
        source, line, error.byte);
  } catch (const Parsed::out_of_range&) {
    throw UserError("{}: a number in it is too large", source);
  }
  if (!result.is_object())
    throw UserError("{}: expected a JSON object, found {}", source, quoted(result));
  return result;
}

std::string json_document(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

nlohmann::json read_json_object(const std::filesystem::path& path, std::size_t max_bytes) {
  std::error_code code;
  const auto size = std::filesystem::file_size(path, code);
  if (code) throw UserError("{}: cannot be read ({})", path.string(), code.message());
  if (size > max_bytes)
    throw UserError("{}: {} bytes, more than any file of this kind has", path.string(), size);
  std::string text(size, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(text.data(), static_cast<std::streamsize>(size)))
    throw UserError("{}: cannot be read", path.string());
  return parse_json_object(text, path.string());
}

JsonReader::JsonReader(const nlohmann::json& object, std::string source, std::string where)
    : object_(object), source_(std::move(source)), where_(std::move(where)) {}

void JsonReader::fail(const char* key, const std::string& expected) const {
  const auto found = object_.find(key);
  throw UserError("{}: \"{}{}\" must be {}, {}", source_, where_, key, expected,
                  found == object_.end() ? "but is missing" : "found " + quoted(*found));
}

const nlohmann::json& JsonReader::value(const char* key) const {
  const auto found = object_.find(key);
  if (found == object_.end()) fail(key, "given");
  return *found;
}

std::int64_t JsonReader::integer(const char* key, std::int64_t low, std::int64_t high) const {
  const auto found = object_.find(key);
  // Checked as text's own types: an unsigned number above the signed range must not wrap.
  if (found == object_.end() || !found->is_number_integer() ||
      (found->is_number_unsigned() &&
       found->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) ||
      found->get<std::int64_t>() < low || found->get<std::int64_t>() > high)
    fail(key, fmt::format("a whole number from {} to {}", low, high));
  return found->get<std::int64_t>();
}

double JsonReader::number(const char* key, double low, double high) const {
  const auto found = object_.find(key);
  if (found == object_.end() || !found->is_number() ||
      !(found->get<double>() >= low && found->get<double>() <= high))
    fail(key, fmt::format("a number from {} to {}", low, high));
  return found->get<double>();
}

std::string JsonReader::text(const char* key) const {
  const auto found = object_.find(key);
  if (found == object_.end() || !found->is_string()) fail(key, "a string");
  return found->get<std::string>();
}

bool JsonReader::boolean(const char* key) const {
  const auto found = object_.find(key);
  if (found == object_.end() || !found->is_boolean()) fail(key, "true or false");
  return found->get<bool>();
}

JsonReader JsonReader::object(const char* key) const {
  const auto found = object_.find(key);
  if (found == object_.end() || !found->is_object()) fail(key, "an object");
  return JsonReader(*found, source_, where_ + key + ".");
}

}  // namespace barcodemae
