// Small line plots and heat maps as SVG, colored by the style of the page that they stand in.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace likeness {

// Text as HTML and SVG show it.
std::string EscapeHtml(std::string_view text);

// `value` with that many digits behind the point.
std::string Fixed(double value, int digits);

struct LineSeries {
  std::string name;
  size_t color = 0;  // class "c0", "c1" ... of the page
  bool dashed = false;
  std::vector<double> y;  // beside LinePlot::x; a NaN leaves a gap
};

struct LinePlot {
  std::string title;  // for those who cannot see it
  std::string x_label;
  std::string y_label;
  std::vector<double> x;             // positions, rising
  std::vector<std::string> x_names;  // beside x: tick labels; an empty name has no tick
  std::vector<LineSeries> series;
  bool markers = false;  // a dot at every point
};

// 520 x 300 units. The y axis spans the values in steps of a tenth.
std::string RenderLinePlot(const LinePlot& plot);

struct HeatMap {
  std::string title;
  std::vector<std::string> names;  // of rows and columns
  std::vector<double> share;       // [names, names], in [0, 1]
  std::vector<std::string> notes;  // beside share: shown when pointed at
};

std::string RenderHeatMap(const HeatMap& map);

}  // namespace likeness
