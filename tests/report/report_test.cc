// SPDX-License-Identifier: MIT
#include "report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <regex>

#include "base/error.h"
#include "report/axis_scale.h"
#include "report/html.h"
#include "temporary_folder.h"

namespace barcodemae {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// Tags of the document that open and close: a misplaced one would leave the stack uneven.
std::string first_unbalanced_tag(const std::string& html) {
  std::vector<std::string> open;
  const std::regex tag(R"(<(/?)([a-z0-9]+)([^>]*?)(/?)>)");
  for (std::sregex_iterator it(html.begin(), html.end(), tag), end; it != end; ++it) {
    const std::string name = (*it)[2];
    if (name == "meta" || (*it)[4].length()) continue;
    if ((*it)[1].length() == 0) {
      open.push_back(name);
    } else {
      if (open.empty() || open.back() != name) return name;
      open.pop_back();
    }
  }
  return open.empty() ? "" : open.back();
}

Report example() {
  Report report("Run <1> & \"more\"", "small, k = 6");
  report.add_heading("What came out");
  report.add_facts({{"Model", "<script>alert(1)</script>"}, {"Barcodes", "1,000,000"}});
  report.add_text("Plain words & nothing else.");
  LineChart losses{"Masked loss", "barcodes", "nats", {}, Axis::kLog, Axis::kLog};
  LineChart::Series measured{"masked", {}, false}, level{"site <frequencies>", {}, true};
  for (int i = 0; i < 5000; ++i) {
    const double x = 64.0 * (i + 1);
    measured.points.emplace_back(x, 1.9 + 6.4 / (1 + i / 200.0));
    level.points.emplace_back(x, 2.97);
  }
  measured.points[100].second = std::nan("");
  losses.series = {measured, level};
  report.add_line_chart(losses);
  LineChart rank{"Effective rank", "step", "dimensions", {}, Axis::kLinear, Axis::kLinear};
  rank.series.push_back({"val_unseen", {{0, 31}, {1000, 12.5}, {2000, NAN}, {3000, 40}}, false});
  report.add_line_chart(rank);
  report.add_bar_chart(
      {"Genus of unseen species",
       "accuracy, %",
       {{"pretrained", 85.02, true}, {"random <encoder>", 57.8, false}, {"none", NAN, false}},
       1,
       100});
  report.add_scatter_plot(
      {"Map <of> vectors", {{"Diptera & co", {{0, 0}, {10, 5}, {NAN, 1}}}, {"others", {{5, 10}}}}});
  report.add_table(
      {"All rows", {"name", "accuracy", "note"}, {{"a", "85.0", "x"}, {"b", "–", ""}}});
  return report;
}

TEST(Report, IsOneBalancedSelfContainedDocument) {
  const std::string html = example().html();
  EXPECT_EQ(first_unbalanced_tag(html), "");
  for (const char* forbidden : {"http", "src=", "@import", "url(", "<script"})
    EXPECT_THAT(html, Not(HasSubstr(forbidden)));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;"));
  EXPECT_THAT(html, HasSubstr("random &lt;encoder&gt;"));
  EXPECT_THAT(html, HasSubstr("site &lt;frequencies&gt;"));
  EXPECT_THAT(html, Not(HasSubstr("nan")));
  EXPECT_LT(html.size(), 500'000u);  // 5,000 points are thinned
}

TEST(Report, DrawsValuesWhereTheyBelong) {
  const std::string html = example().html();
  EXPECT_THAT(html, HasSubstr("<rect width=\"85.02%\""));
  EXPECT_THAT(html, HasSubstr("val_unseen: 12.5 at 1000"));
  // From the first point to the second, then a gap: the last one is a new stroke.
  const std::regex gap(R"(class="curve c0" d="M[\d. ]+L[\d. ]+M[\d. ]+")");
  EXPECT_TRUE(std::regex_search(html, gap));
  EXPECT_THAT(html, HasSubstr("<td class=\"number\">–</td>"));
}

TEST(Report, DrawsAMapWithOneScaleForBothAxes) {
  const std::string html = example().html();
  // Ten units of either axis are the 532 between the margins; y points upwards.
  EXPECT_THAT(html, HasSubstr("<path class=\"dots c0\" d=\"M14.0 546.0h0M546.0 280.0h0\">"));
  EXPECT_THAT(html, HasSubstr("<path class=\"dots c1\" d=\"M280.0 14.0h0\">"));
  EXPECT_THAT(html, HasSubstr("Diptera &amp; co (2)"));
  Report none("empty");
  none.add_scatter_plot({"nothing", {{"a", {}}}});
  EXPECT_THAT(none.html(), HasSubstr("No points."));
  EXPECT_EQ(first_unbalanced_tag(none.html()), "");
}

TEST(Report, WritesAtomicallyOrSaysWhyNot) {
  const TemporaryFolder folder;
  example().write(folder / "report.html");
  EXPECT_EQ(read_file(folder / "report.html"), example().html());
  EXPECT_THROW(example().write("/no/such/folder/report.html"), UserError);
}

TEST(AxisScale, TicksAreRoundAndCoverTheRange) {
  EXPECT_THAT(AxisScale(Axis::kLinear, 0.3, 9.2, 5, false).ticks(), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(AxisScale(Axis::kLinear, 0.3, 9.2, 5, true).ticks(), ElementsAre(2, 4, 6, 8));
  EXPECT_THAT(AxisScale(Axis::kLog, 3e-6, 2e-1, 5, false).ticks(),
              ElementsAre(DoubleEq(1e-6), DoubleEq(1e-4), DoubleEq(1e-2), DoubleEq(1)));
  EXPECT_THAT(AxisScale(Axis::kLog, 1.9, 8.3, 5, true).ticks(), ElementsAre(2, 4, 6, 8));
  EXPECT_THAT(AxisScale(Axis::kLog, 1.9, 83, 5, true).ticks(),
              ElementsAre(DoubleEq(2), DoubleEq(5), DoubleEq(10), DoubleEq(20), DoubleEq(50)));
  EXPECT_THAT(AxisScale(Axis::kLog, 3, 3, 5, true).ticks(), Not(IsEmpty()));
  const AxisScale level(Axis::kLinear, 5, 5, 4, false);
  EXPECT_NEAR(level.place(5), 0.5, 0.3);
  const AxisScale log(Axis::kLog, 1, 100, 5, false);
  EXPECT_DOUBLE_EQ(log.place(10) - log.place(1), log.place(100) - log.place(10));
}

TEST(Html, NumbersAreShort) {
  EXPECT_EQ(compact_number(0), "0");
  EXPECT_EQ(compact_number(12000), "12k");
  EXPECT_EQ(compact_number(1.5e6), "1.5M");
  EXPECT_EQ(compact_number(2e-5), "2e-05");
  EXPECT_EQ(compact_number(NAN), "–");
}

}  // namespace
}  // namespace barcodemae
