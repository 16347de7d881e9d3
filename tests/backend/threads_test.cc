// SPDX-License-Identifier: MIT
#include "base/threads.h"

#include "precision.h"

namespace barcodemae::test {
namespace {

class Threads : public OnEachPrecision {
 protected:
  void TearDown() override { set_thread_count(before_); }

 private:
  int before_ = thread_count();
};

TEST_P(Threads, AnyNumberGivesTheSameBits) {
  const Values inputs = make_inputs(op());
  for (const Precision& precision : precisions()) {
    SCOPED_TRACE(precision.name);
    const Pass pass = last_pass(precision);
    if (!computes(precision, op(), pass)) continue;
    set_thread_count(1);
    const Values expected = run_at(precision, op(), inputs, pass);
    for (const int threads : {2, 3}) {
      set_thread_count(threads);
      EXPECT_TRUE(run_at(precision, op(), inputs, pass) == expected) << threads << " threads";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Op, Threads, testing::Range<std::size_t>(0, cases().size()), name_of);

}  // namespace
}  // namespace barcodemae::test
