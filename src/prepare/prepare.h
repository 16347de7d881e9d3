// SPDX-License-Identifier: MIT
// From records as filed to distinct barcodes in splits.
#pragma once

#include <filesystem>
#include <string>

#include "prepare/account.h"
#include "prepare/new_splits.h"
#include "sequence/reader.h"

namespace barcodemae {

enum class SplitSource {
  kNew,  ///< made from labels, as assign_new_splits() says
  kOwn,  ///< the file's
};
enum class Duplicates {
  kMajority,     ///< as settle() says: whatever the order of the file
  kFirstInFile,  ///< the first record of a sequence, as the paper's data_split.py keeps it
};

struct PrepareOptions {
  std::filesystem::path input = {}, out = {};  ///< `out` as RecordWriter knows it
  std::string marker_code = ReaderOptions().marker_code;
  int min_length = 1;        ///< bases
  double max_ambiguous = 1;  ///< of a sequence's bases
  SplitSource splits = SplitSource::kNew;
  Duplicates duplicates = Duplicates::kMajority;
  NewSplitOptions new_splits = {};
};

/// Reads the file twice: for hashes and labels, then to write one record for each distinct sequence
/// in the order of the file. What is written, but for that order, does not depend on the order of
/// the records unless Duplicates::kFirstInFile is asked for. Memory is that of BarcodeTable and
/// LineageTable: about 50 bytes for each distinct barcode, 16 more while new splits are made, and
/// the names; nothing for a record that repeats a barcode with the same labels. Records without
/// an id are named by their sequence's hash. Throws UserError as RecordReader and RecordWriter do,
/// for input that cannot be read twice, and when nothing is left to write.
PrepareAccount prepare(const PrepareOptions& options);

}  // namespace barcodemae
