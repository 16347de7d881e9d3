// SPDX-License-Identifier: MIT
#include "interop/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "user_error.h"

namespace barcodemae {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;
using Kind = Pickle::Kind;

std::string pickle_refusal(const std::string& bytes) {
  return user_error([&] { const Pickle pickle(bytes, "x"); });
}

TEST(Pickle, ReadsPlainValues) {
  // pickle.dumps({"a": (1, -2, 300, 1 << 40, 0.5, None, True), "b": [b"z", "é"]}, 2), and 4.
  const Pickle two(
      "\x80\x02}q\x00(X\x01\x00\x00\x00"s
      "aq\x01(K\x01J\xfe\xff\xff\xffM,\x01\x8a\x06\x00\x00\x00\x00\x00\x01G?\xe0\x00\x00\x00\x00"s
      "\x00\x00N\x88tq\x02X\x01\x00\x00\x00"s
      "bq\x03]q\x04(C\x01zX\x02\x00\x00\x00\xc3\xa9"s
      "eu."s,
      "x");
  const Pickle::Id tuple = two.find(two.root(), "a").value();
  ASSERT_EQ(two[tuple].kind, Kind::kTuple);
  const auto item = [&](std::size_t i) { return two[two[tuple].items.at(i)]; };
  EXPECT_EQ(item(0).integer, 1);
  EXPECT_EQ(item(1).integer, -2);
  EXPECT_EQ(item(2).integer, 300);
  EXPECT_EQ(item(3).integer, std::int64_t{1} << 40);
  EXPECT_EQ(item(4).real, 0.5);
  EXPECT_EQ(item(5).kind, Kind::kNone);
  EXPECT_EQ(item(6).integer, 1);
  const Pickle::Id list = two.find(two.root(), "b").value();
  EXPECT_EQ(two[two[list].items.at(0)].kind, Kind::kBytes);
  EXPECT_EQ(two[two[list].items.at(1)].text, "é");

  const Pickle four("\x80\x04\x95\x0f\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01k\x94\x8a\x01\xffs."s,
                    "x");
  EXPECT_EQ(four[four.find(four.root(), "k").value()].integer, -1);
}

TEST(Pickle, CallsNothing) {
  // os.system("false"), as a pickle that would run it.
  const Pickle pickle(
      "\x80\x02"
      "cposix\nsystem\nX\x05\x00\x00\x00"
      "false\x85R."s,
      "x");
  EXPECT_TRUE(pickle.is_call_of(pickle.root(), "posix system"));
}

TEST(Pickle, RefusesWhatIsNone) {
  EXPECT_THAT(pickle_refusal(""), HasSubstr("cut off"));
  EXPECT_THAT(pickle_refusal("\x80\x02}"), HasSubstr("cut off at byte 3"));
  EXPECT_THAT(pickle_refusal("\x80\x09N."), HasSubstr("protocol 9"));
  EXPECT_THAT(pickle_refusal("."), HasSubstr("a value is missing"));
  EXPECT_NO_THROW(Pickle("\x80\x02(K\x01."s + "0", "x"));
  EXPECT_THAT(pickle_refusal("\x80\x02u."), HasSubstr("a mark is missing"));
  EXPECT_THAT(pickle_refusal("\x80\x02}(K\x01u."), HasSubstr("a key has no value"));
  EXPECT_THAT(pickle_refusal("\x80\x02NK\x01"
                             "a."),
              HasSubstr("put into what holds none"));
  EXPECT_THAT(pickle_refusal("\x80\x02h\x05."), HasSubstr("unknown memo index"));
  EXPECT_THAT(pickle_refusal("\x80\x02X\xff\xff\xff\xff"
                             "a."),
              HasSubstr("cut off"));
  EXPECT_THAT(pickle_refusal("\x80\x02V1\n."), HasSubstr("opcode 0x56"));
  EXPECT_THAT(pickle_refusal("\x80\x02" + std::string(std::size_t{1} << 22, 'N')),
              HasSubstr("values"));
  EXPECT_THAT(pickle_refusal("\x80\x02N" + std::string(std::size_t{1} << 22, '2')),
              HasSubstr("deep"));
}

}  // namespace
}  // namespace barcodemae
