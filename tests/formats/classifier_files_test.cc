// SPDX-License-Identifier: MIT
#include "formats/classifier_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "temporary_folder.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using testing::HasSubstr;

std::string refusal(const std::filesystem::path& folder, int width) {
  return user_error([&] { read_classifier(folder, width); });
}

ClassifierHead small_head() {
  ClassifierHead head;
  head.rank = Rank::kGenus;
  for (const char* name : {"Aus", "B\"us"}) head.classes.emplace_back(name);
  head.weights.rows = 2;
  head.weights.cols = 3;
  for (const float value : {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f})
    head.weights.values.push_back(value);
  for (const float value : {7.0f, 8.0f}) head.bias.push_back(value);
  return head;
}

TEST(ClassifierFiles, ComeBackAsTheyWere) {
  const TemporaryFolder folder;
  const ClassifierHead head = small_head();
  write_classifier(folder.path(), head);
  const ClassifierHead back = read_classifier(folder.path(), 3);
  EXPECT_EQ(back.rank, head.rank);
  EXPECT_EQ(back.classes, head.classes);
  EXPECT_EQ(back.weights.values, head.weights.values);
  EXPECT_EQ(back.weights.rows, 2);
  EXPECT_EQ(back.bias, head.bias);
}

TEST(ClassifierFiles, WhatDoesNotFitIsNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT(refusal(folder.path(), 3), HasSubstr("classes.json"));
  ClassifierHead head = small_head();
  write_classifier(folder.path(), head);
  EXPECT_THAT(refusal(folder.path(), 4), HasSubstr("classifier.weight"));
  std::ofstream(folder / "classes.json") << R"({"format_version": 2, "rank": "genus"})";
  EXPECT_THAT(refusal(folder.path(), 3), HasSubstr("format_version"));
  std::ofstream(folder / "classes.json")
      << R"({"format_version": 1, "rank": "colour", "classes": ["a", "b"]})";
  EXPECT_THAT(refusal(folder.path(), 3), HasSubstr("rank"));
  std::ofstream(folder / "classes.json")
      << R"({"format_version": 1, "rank": "genus", "classes": ["a", 2]})";
  EXPECT_THAT(refusal(folder.path(), 3), HasSubstr("classes"));
  head.weights.values[4] = INFINITY;
  write_classifier(folder.path(), head);
  EXPECT_THAT(refusal(folder.path(), 3), HasSubstr("not finite"));
}

}  // namespace
}  // namespace barcodemae
