// SPDX-License-Identifier: MIT
// Backends by name, and what the CPU's refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/backends.h"
#include "base/error.h"
#include "base/machine.h"
#include "linear_fixture.h"
#include "user_error.h"

namespace barcodemae::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(MakeBackend, UnknownNamesAreRefusedWithTheChoices) {
  EXPECT_EQ(make_backend("cpu")->name(), "cpu");
  EXPECT_EQ(make_backend("reference")->name(), "reference");
  EXPECT_THAT(user_error([] { make_backend("gpu"); }),
              AllOf(HasSubstr("gpu"), HasSubstr("cpu"), HasSubstr("reference")));
}

/// Skips when BARCODEMAE_SIMD asks for more than this machine has.
class CpuBackend : public testing::Test {
 protected:
  void SetUp() override {
    try {
      machine();
    } catch (const UserError& error) {
      GTEST_SKIP() << "skipped: " << error.what();
    }
  }
};

TEST_F(CpuBackend, RefusesWeightsThatWereNotRefreshed) {
  const auto backend = make_backend("cpu");
  LinearFixture linear(*backend);
  EXPECT_THROW(linear.forward(*backend), InternalError);
}

TEST_F(CpuBackend, RefusesBFloat16WhereItCannotComputeIt) {
  const auto backend = make_backend("cpu");
  LinearFixture linear(*backend);
  if (machine().simd >= SimdLevel::kAvx512) {
    EXPECT_NO_THROW(backend->refresh_weights(linear.parameters, DType::kBFloat16, true));
  } else {
    EXPECT_THROW(backend->refresh_weights(linear.parameters, DType::kBFloat16, true), UserError);
  }
}

}  // namespace
}  // namespace barcodemae::test
