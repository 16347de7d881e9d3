// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace barcodemae {

/// What reading changed or found in one record.
struct SequenceTraits {
  bool lower_case = false, uracil = false, gaps = false, trailing_n = false;
  bool ambiguous = false;      ///< IUPAC codes are left, N among them
  bool unread_header = false;  ///< text behind the id gave no labels: the form is not known
};

/// Turns text as filed into a sequence, piece by piece: upper case, U as T, gaps ('-' and '.') and
/// white space dropped, IUPAC codes kept, trailing N stripped.
class SequenceNormaliser {
 public:
  /// Writes to `sequence`, which is emptied.
  explicit SequenceNormaliser(std::string& sequence) : sequence_(sequence) { sequence_.clear(); }

  void append(std::string_view text);
  /// Strips trailing N. Returns why the sequence cannot be used; empty when it can.
  std::string finish(SequenceTraits& traits);

 private:
  std::string& sequence_;
  unsigned seen_ = 0;  ///< classes of characters met
  char invalid_ = 0;   ///< the first character that stands for no base
  bool too_long_ = false;
};

}  // namespace barcodemae
