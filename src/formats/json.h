// SPDX-License-Identifier: MIT
// JSON from files that nobody vouches for, with errors a user can act on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace barcodemae {

/// Parses one JSON object. Throws UserError naming `source` when the text is malformed, is no
/// object, repeats a key, or nests deeper than 32 levels.
nlohmann::json parse_json_object(std::string_view text, const std::string& source);

/// Reads and parses a file. Throws UserError when it is missing, unreadable or above `max_bytes`.
nlohmann::json read_json_object(const std::filesystem::path& path,
                                std::size_t max_bytes = std::size_t{1} << 28);

/// The text of a JSON file that people read too: indented by two, bytes that are not UTF-8
/// replaced, one newline at the end.
std::string json_document(const nlohmann::ordered_json& json);

/// The value of a key, checked. Each throws UserError naming `source`, the key and what was
/// expected; `where` is the path of the object inside the file ("barcodemae.").
class JsonReader {
 public:
  JsonReader(const nlohmann::json& object, std::string source, std::string where = {});

  bool has(const char* key) const { return object_.contains(key) && !object_[key].is_null(); }
  std::int64_t integer(const char* key, std::int64_t low, std::int64_t high) const;
  double number(const char* key, double low, double high) const;
  std::string text(const char* key) const;
  bool boolean(const char* key) const;
  JsonReader object(const char* key) const;
  const nlohmann::json& value(const char* key) const;
  const nlohmann::json& json() const { return object_; }
  [[noreturn]] void fail(const char* key, const std::string& expected) const;

 private:
  const nlohmann::json& object_;
  std::string source_, where_;
};

}  // namespace barcodemae
