// SPDX-License-Identifier: MIT
// What all ops share.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "tensor/context.h"

namespace barcodemae::ops {

/// Memory that a kernel needs only while it runs.
class Scratch {
 public:
  Scratch(Arena& arena, std::size_t bytes) : arena_(arena), bytes_(arena.allocate(bytes)) {}
  ~Scratch() { arena_.release(bytes_.data); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  Bytes bytes() const { return bytes_; }

 private:
  Arena& arena_;
  Bytes bytes_;
};

/// The output of an op: memory, and a gradient slot when there is a tape.
inline Tensor make_output(Context& context, std::int64_t rows, std::int64_t cols, DType dtype) {
  Tensor y{context.arena.allocate(rows, cols, dtype)};
  if (context.tape != nullptr) y.node = context.tape->add_slot(y.view);
  return y;
}

/// Kernels are launched neither in a dry run nor for tensors without rows.
inline bool launches(const Context& context, std::int64_t rows) {
  return !context.measuring() && rows > 0;
}

inline void check_shape(const Parameter& parameter, std::int64_t rows, std::int64_t cols) {
  const View& value = parameter.value;
  BARCODEMAE_CHECK(value.data != nullptr && value.rows == rows && value.cols == cols,
                   "a parameter is [{}, {}], expected [{}, {}]", value.rows, value.cols, rows,
                   cols);
}

inline void check_same_shape(const View& a, const View& b) {
  BARCODEMAE_CHECK(a.rows == b.rows && a.cols == b.cols && a.dtype == b.dtype,
                   "{} [{}, {}] and {} [{}, {}]", to_string(a.dtype), a.rows, a.cols,
                   to_string(b.dtype), b.rows, b.cols);
}

/// The sequences cover these rows.
inline void check_rows(const Segments& segments, std::int64_t rows) {
  BARCODEMAE_CHECK(segments.rows() == rows && segments.offsets.rows == segments.sequences() + 1 &&
                       segments.records.rows == segments.sequences() &&
                       segments.positions.rows == rows,
                   "{} rows, but {} in {} sequences, {} offsets, {} records, {} positions", rows,
                   segments.rows(), segments.sequences(), segments.offsets.rows,
                   segments.records.rows, segments.positions.rows);
}

/// A list of some of `rows` rows.
inline void check_index(const View& index, std::int64_t rows) {
  BARCODEMAE_CHECK(index.dtype == DType::kInt32 && index.cols == 1 && index.rows <= rows,
                   "an index of {} [{}, {}] into {} rows", to_string(index.dtype), index.rows,
                   index.cols, rows);
}

}  // namespace barcodemae::ops
