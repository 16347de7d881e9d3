// SPDX-License-Identifier: MIT
// A report as one HTML file: no scripts, no external resources, light and dark, readable by machine
// readers too (every chart says its numbers in words).
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace barcodemae {

enum class Axis { kLinear, kLog };

struct LineChart {
  struct Series {
    std::string name;
    std::vector<std::pair<double, double>> points;  ///< (x, y), x ascending; not finite: a gap
    bool reference = false;  ///< drawn dashed: a level to compare with, not a measurement
  };
  std::string title, x_label, y_label;
  std::vector<Series> series;
  Axis x_axis = Axis::kLinear, y_axis = Axis::kLinear;  ///< on a log axis values ≤ 0 are gaps
};

struct BarChart {
  struct Bar {
    std::string name;
    double value = 0;         ///< ≥ 0; not finite: no bar
    bool emphasised = false;  ///< the one the report is about
  };
  std::string title;
  std::string value_label;  ///< what the values are, with their unit: "genus accuracy, %"
  std::vector<Bar> bars;
  int decimals = 1;
  std::optional<double> maximum;  ///< a full bar; the largest value when not given
};

/// Points of a plane without axes, coloured by group: a map.
struct ScatterPlot {
  static constexpr std::size_t kMostGroups = 6;  ///< colours that can be told apart
  struct Group {
    std::string name;
    std::vector<std::pair<float, float>> points;  ///< (x, y); not finite: left out
  };
  std::string title;
  std::vector<Group> groups;  ///< at most kMostGroups; the first are drawn first
};

struct Table {
  std::string caption;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  ///< each as long as `columns`; numbers align right
};

/// Blocks appear in the order in which they were added. All text is escaped.
class Report {
 public:
  explicit Report(std::string title, std::string subtitle = {});

  void add_heading(std::string_view text);
  void add_text(std::string_view text);
  void add_facts(const std::vector<std::pair<std::string, std::string>>& facts);
  void add_table(const Table& table);
  /// Consecutive charts stand side by side where there is room.
  void add_line_chart(const LineChart& chart);
  void add_bar_chart(const BarChart& chart);
  void add_scatter_plot(const ScatterPlot& plot);

  std::string html() const;
  /// Atomically. Throws UserError as AtomicFile does.
  void write(const std::filesystem::path& path) const;

 private:
  struct Block {
    bool chart = false;
    std::string html;
  };
  std::string title_, subtitle_;
  std::vector<Block> blocks_;
  int charts_ = 0;
};

}  // namespace barcodemae
