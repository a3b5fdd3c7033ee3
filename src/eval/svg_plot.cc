#include "eval/svg_plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace likeness {
namespace {

constexpr double kWidth = 520, kHeight = 300;
constexpr double kLeft = 46, kRight = 14, kTop = 12, kBottom = 44;

std::string Text(double x, double y, std::string_view anchor, std::string_view text, std::string_view extra = "") {
  return "<text x=\"" + Fixed(x, 1) + "\" y=\"" + Fixed(y, 1) + "\" text-anchor=\"" + std::string(anchor) + "\" " +
         std::string(extra) + ">" + EscapeHtml(text) + "</text>";
}

}  // namespace

std::string EscapeHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string Fixed(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), "%.*f", digits, value);
  return buffer;
}

std::string RenderLinePlot(const LinePlot& plot) {
  double low = 1, high = 0;
  for (const LineSeries& series : plot.series) {
    for (const double y : series.y) {
      if (std::isnan(y)) continue;
      low = std::min(low, y);
      high = std::max(high, y);
    }
  }
  if (low > high) low = 0, high = 1;
  low = std::floor(low * 10) / 10;
  high = std::max(std::ceil(high * 10) / 10, low + 0.1);
  const double first = plot.x.empty() ? 0 : plot.x.front();
  const double span = plot.x.size() < 2 ? 1 : plot.x.back() - first;
  const auto at_x = [&](double x) { return kLeft + (x - first) / span * (kWidth - kLeft - kRight); };
  const auto at_y = [&](double y) { return kTop + (high - y) / (high - low) * (kHeight - kTop - kBottom); };

  std::string svg =
      "<svg class=\"plot\" viewBox=\"0 0 520 300\" role=\"img\" aria-label=\"" + EscapeHtml(plot.title) + "\">";
  const int steps = static_cast<int>(std::lround((high - low) * 10));
  for (int i = 0; i <= steps; ++i) {
    const double y = low + 0.1 * i;
    svg += "<line class=\"grid\" x1=\"" + Fixed(kLeft, 0) + "\" x2=\"" + Fixed(kWidth - kRight, 0) + "\" y1=\"" +
           Fixed(at_y(y), 1) + "\" y2=\"" + Fixed(at_y(y), 1) + "\"/>";
    svg += Text(kLeft - 8, at_y(y) + 4, "end", Fixed(y, 1));
  }
  for (size_t i = 0; i < plot.x.size() && i < plot.x_names.size(); ++i) {
    if (!plot.x_names[i].empty()) svg += Text(at_x(plot.x[i]), kHeight - kBottom + 18, "middle", plot.x_names[i]);
  }
  svg += Text((kLeft + kWidth - kRight) / 2, kHeight - 6, "middle", plot.x_label, "class=\"axis\"");
  svg +=
      Text(0, 0, "middle", plot.y_label,
           "class=\"axis\" transform=\"translate(12 " + Fixed((kTop + kHeight - kBottom) / 2, 0) + ") rotate(-90)\"");
  for (const LineSeries& series : plot.series) {
    std::string path;
    bool pen_down = false;
    for (size_t i = 0; i < series.y.size() && i < plot.x.size(); ++i) {
      if (std::isnan(series.y[i])) {
        pen_down = false;
        continue;
      }
      path += (pen_down ? " L" : " M") + Fixed(at_x(plot.x[i]), 1) + " " + Fixed(at_y(series.y[i]), 1);
      pen_down = true;
    }
    const std::string color = "c" + std::to_string(series.color);
    svg += "<path class=\"line " + color + (series.dashed ? " dashed" : "") + "\" d=\"" + path + "\"><title>" +
           EscapeHtml(series.name) + "</title></path>";
    for (size_t i = 0; i < series.y.size() && i < plot.x.size() && plot.markers; ++i) {
      if (std::isnan(series.y[i])) continue;
      svg += "<circle class=\"dot " + color + (series.dashed ? " hollow" : "") + "\" r=\"4\" cx=\"" +
             Fixed(at_x(plot.x[i]), 1) + "\" cy=\"" + Fixed(at_y(series.y[i]), 1) + "\"><title>" +
             EscapeHtml(series.name) + ", " + EscapeHtml(plot.x_names[i]) + ": " + Fixed(series.y[i], 3) +
             "</title></circle>";
    }
  }
  return svg + "</svg>";
}

std::string RenderHeatMap(const HeatMap& map) {
  const size_t count = map.names.size();
  size_t longest = 4;
  for (const std::string& name : map.names) longest = std::max(longest, name.size());
  const double cell = count <= 12 ? 46 : 26;
  const double margin = 6.4 * static_cast<double>(longest) + 14;
  const double side = margin + cell * static_cast<double>(count);
  std::string svg = "<svg class=\"heat\" viewBox=\"0 0 " + Fixed(side + 4, 0) + " " + Fixed(side + 4, 0) +
                    "\" style=\"max-width:" + Fixed(side + 4, 0) + "px\" role=\"img\" aria-label=\"" +
                    EscapeHtml(map.title) + "\">";
  for (size_t i = 0; i < count; ++i) {
    const double middle = margin + cell * (static_cast<double>(i) + 0.5);
    svg += Text(margin - 8, middle + 4, "end", map.names[i]);
    svg += Text(0, 0, "start", map.names[i],
                "transform=\"translate(" + Fixed(middle + 4, 1) + " " + Fixed(margin - 8, 1) + ") rotate(-90)\"");
  }
  for (size_t r = 0; r < count; ++r) {
    for (size_t c = 0; c < count; ++c) {
      const double share = map.share[r * count + c];
      const double x = margin + cell * static_cast<double>(c), y = margin + cell * static_cast<double>(r);
      svg += "<rect class=\"" + std::string(r == c ? "hit" : "miss") + "\" x=\"" + Fixed(x + 1, 1) + "\" y=\"" +
             Fixed(y + 1, 1) + "\" width=\"" + Fixed(cell - 2, 1) + "\" height=\"" + Fixed(cell - 2, 1) +
             "\" rx=\"3\" fill-opacity=\"" + Fixed(share <= 0 ? 0.05 : 0.1 + 0.9 * std::sqrt(share), 2) + "\"><title>" +
             EscapeHtml(map.notes[r * count + c]) + "</title></rect>";
      if (share >= 0.005) {
        svg += Text(x + cell / 2, y + cell / 2 + 4, "middle", Fixed(100 * share, 0),
                    share > 0.4 ? "class=\"on\"" : "class=\"off\"");
      }
    }
  }
  return svg + "</svg>";
}

}  // namespace likeness
