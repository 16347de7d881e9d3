// SPDX-License-Identifier: MIT
// What a test of ops runs on: the backends of its program, in each of their precisions.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "op_case.h"

namespace barcodemae::test {

/// A backend in one of its precisions, and how far from the float64 reference it may be.
struct Precision {
  const char* name;
  std::unique_ptr<Backend> (*make)();
  DType type;
  double largest;  ///< error of any element, over the largest element of the tensor
  double norm;     ///< Euclidean norm of a tensor's errors, over the tensor's
};

/// Those whose kernels this program is to test (precisions_cpu.cc, precisions_cuda.cc): what this
/// machine can compute. Empty with a reason in `why_not` when it can do nothing.
std::vector<Precision> tested_precisions(std::string& why_not);
/// Their names, as make_backend() knows them.
std::vector<std::string> tested_backends();

/// int8 is for inference alone, and not for losses.
inline bool computes(const Precision& precision, const OpCase& op, Pass pass) {
  return precision.type != DType::kInt8 || (pass == Pass::kInference && !op.loss);
}
inline Pass last_pass(const Precision& precision) {
  return precision.type == DType::kInt8 ? Pass::kInference : Pass::kBoth;
}
inline Values run_at(const Precision& precision, const OpCase& op, const Values& inputs,
                     Pass pass) {
  return run(op, inputs, *precision.make(), precision.type, pass);
}

inline const std::vector<OpCase>& cases() {
  static const std::vector<OpCase> all = all_op_cases();
  return all;
}

inline std::vector<std::size_t> cases_where(bool (*condition)(const OpCase&)) {
  std::vector<std::size_t> places;
  for (std::size_t place = 0; place < cases().size(); ++place) {
    if (condition(cases()[place])) places.push_back(place);
  }
  return places;
}

inline std::string name_of(const testing::TestParamInfo<std::size_t>& test) {
  return cases()[test.param].name;
}

/// A test whose parameter is the place of an op case; skipped where there is nothing to test on.
class OnEachPrecision : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    std::string why_not;
    precisions_ = tested_precisions(why_not);
    if (precisions_.empty()) GTEST_SKIP() << "skipped: " << why_not;
  }
  const OpCase& op() const { return cases()[GetParam()]; }
  const std::vector<Precision>& precisions() const { return precisions_; }

 private:
  std::vector<Precision> precisions_;
};

}  // namespace barcodemae::test
