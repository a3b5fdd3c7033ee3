#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "absl/strings/escaping.h"
#include "eval/relevance.h"
#include "eval/svg_plot.h"

namespace likeness {
namespace {

constexpr size_t kHeatMapLabels = 24;  // the largest classes; the rest is summed up

constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--page:#f6f6f4;--card:#fff;--ink:#1c1d1f;--soft:#65686d;--line:#e2e2de;--good:#137a4b;
--bad:#c0362c;--heat:#2563c9;--miss:#c0362c;--c0:#2563c9;--c1:#c2570c;--c2:#128170;--c3:#8a3ffc;--c4:#b0276d;--c5:#5c6b1f;
--base:#77797d}
@media(prefers-color-scheme:dark){:root{--page:#141517;--card:#1d1f22;--ink:#ececea;--soft:#a0a3a8;--line:#33363a;
--good:#4cc38a;--bad:#ff7a6e;--heat:#5b9bff;--miss:#ff7a6e;--c0:#6aa5ff;--c1:#ff9a52;--c2:#3fc6ae;--c3:#b794ff;
--c4:#ff7eb6;--c5:#b5c658;--base:#96999e}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1120px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:28px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}h2{font-size:18px;margin:0 0 4px}
p{margin:0 0 12px}.lead{color:var(--soft);max-width:75ch}.note{color:var(--soft);font-size:13.5px;max-width:85ch}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:20px 22px;margin-top:18px;min-width:0}
.two{display:grid;grid-template-columns:1fr 1fr;gap:18px}
@media(max-width:820px){.two{grid-template-columns:1fr;gap:0}}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:12px;margin-top:18px}
.tile{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 16px}
.tile b{display:block;font-size:26px;line-height:1.25;font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:13px;overflow-wrap:anywhere}.tile .ok,.tile .no{font-weight:600}
.ok{color:var(--good)!important}.no{color:var(--bad)!important}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;white-space:nowrap}
th{font-weight:600;font-size:13px;color:var(--soft);text-align:right;padding:6px 10px;border-bottom:1px solid var(--line)}
td{text-align:right;padding:6px 10px;vertical-align:top}th:first-child,td:first-child{text-align:left;padding-left:0}
td small{display:block;color:var(--soft);font-size:11.5px}
tr.model td{border-top:1px solid var(--line);padding-top:12px;font-weight:600}tr.model small{font-weight:400}
tr.way td:first-child{padding-left:16px}tr.dim{color:var(--soft)}
svg{width:100%;height:auto;display:block}svg text{fill:var(--soft);font-size:11.5px}svg .axis{font-size:12px}
.grid{stroke:var(--line)}.line{fill:none;stroke-width:2;stroke-linejoin:round}.dashed{stroke-dasharray:5 4}
.dot{stroke-width:2}.hollow{fill:var(--card)!important}
)css"
                                    R"css(
.c0{stroke:var(--c0);fill:var(--c0)}.c1{stroke:var(--c1);fill:var(--c1)}.c2{stroke:var(--c2);fill:var(--c2)}
.c3{stroke:var(--c3);fill:var(--c3)}.c4{stroke:var(--c4);fill:var(--c4)}.c5{stroke:var(--c5);fill:var(--c5)}
.c6{stroke:var(--base);fill:var(--base)}.line.c0,.line.c1,.line.c2,.line.c3,.line.c4,.line.c5,.line.c6{fill:none}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:8px 0 0;padding:0;list-style:none;font-size:13px;color:var(--soft)}
.legend svg{display:inline-block;width:26px;height:10px;vertical-align:middle;margin-right:6px}
.heat{margin:8px auto 0}.heat .hit{fill:var(--heat)}.heat .miss{fill:var(--miss)}.heat .on{fill:var(--card);font-weight:600}
.heat .off{fill:var(--ink)}
.classes{columns:2;column-gap:36px;margin-top:10px}@media(max-width:820px){.classes{columns:1}}
.class{display:grid;grid-template-columns:128px 1fr 48px 46px;gap:10px;align-items:center;font-size:13px;break-inside:avoid;
padding:3px 0}.class .name{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.class .value{text-align:right;font-variant-numeric:tabular-nums}.class .count{color:var(--soft);text-align:right;font-size:12px}
.track{position:relative;height:14px;border-radius:4px;background:color-mix(in srgb,var(--c0) 12%,transparent)}
.track i{position:absolute;inset:0 auto 0 0;background:var(--c0);border-radius:4px}
.track u{position:absolute;top:-2px;bottom:-2px;width:2px;background:var(--ink)}
.row{display:grid;grid-template-columns:116px minmax(0,1fr);gap:14px;padding:12px 0;border-top:1px solid var(--line)}
.row:first-of-type{border-top:0}.strip{display:grid;grid-template-columns:repeat(10,minmax(64px,1fr));gap:7px;overflow-x:auto}
figure{margin:0;min-width:0}figure .frame{aspect-ratio:1;border-radius:8px;overflow:hidden;background:#fff;border:3px solid
var(--line);position:relative}figure img{position:absolute;inset:0;width:100%;height:100%;object-fit:contain}
figure.hit .frame{border-color:var(--good)}figure.miss .frame{border-color:var(--bad)}figure.ask .frame{border-color:var(--ink)}
figcaption{font-size:12px;line-height:1.35;margin-top:4px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
figcaption span{color:var(--soft);display:block;font-variant-numeric:tabular-nums}
h3{font-size:14px;margin:18px 0 2px;color:var(--soft);font-weight:600}
code{font:12.5px ui-monospace,"DejaVu Sans Mono",monospace}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;margin:8px 0 0;font-size:13.5px}dt{color:var(--soft)}dd{margin:0}
)css";

std::string Share(const Estimate& estimate) {
  return "<td>" + Fixed(estimate.value, 3) + "<small>" + Fixed(estimate.interval.low, 3) + "–" +
         Fixed(estimate.interval.high, 3) + "</small></td>";
}

// A loss with its sign: above 0 is worse than float.
std::string LossCell(const Estimate& estimate) {
  const auto sign = [](double value) { return (value > 0 ? "+" : value < 0 ? "−" : "") + Fixed(std::abs(value), 3); };
  return "<td>" + sign(estimate.value) + "<small>" + sign(estimate.interval.low) + " … " +
         sign(estimate.interval.high) + "</small></td>";
}

std::string Milliseconds(const std::optional<QueryLatency>& latency) {
  if (!latency) return "<td>–</td><td>–</td><td>–</td>";
  const auto cell = [](const Percentiles& percentiles) {
    return "<td>" + Fixed(percentiles.p50, 1) + "<small>p99 " + Fixed(percentiles.p99, 1) + "</small></td>";
  };
  return cell(latency->extraction) + cell(latency->retrieval) + cell(latency->total);
}

// The class of a model's color: the baseline is grey, the seventh model and later repeat.
size_t ColorOf(const RelevanceReport& report, size_t model) { return report.models[model].baseline ? 6 : model % 6; }

std::string Shown(const ModelReport& model) { return model.baseline ? "HSV histogram (baseline)" : model.name; }

std::string Legend(const std::vector<LineSeries>& series) {
  std::string html = "<ul class=\"legend\">";
  for (const LineSeries& one : series) {
    html += "<li><svg viewBox=\"0 0 26 10\" aria-hidden=\"true\"><path class=\"line c" + std::to_string(one.color) +
            (one.dashed ? " dashed" : "") + "\" d=\"M0 5H26\"/></svg>" + EscapeHtml(one.name) + "</li>";
  }
  return html + "</ul>";
}

std::string Tiles(const RelevanceReport& report) {
  std::string html = "<div class=\"tiles\">";
  const auto tile = [&](const std::string& value, const std::string& text) {
    html += "<div class=\"tile\"><b>" + value + "</b><span>" + text + "</span></div>";
  };
  const bool held = std::ranges::any_of(report.results, [](const BarResult& result) { return result.bar.has_value(); });
  if (held) {
    for (const BarResult& result : report.results) {
      if (!result.bar) continue;
      const std::string verdict =
          result.ok() ? "<span class=\"ok\">✓ reached</span>" : "<span class=\"no\">✗ missed</span>";
      const size_t point = result.name.find('.');
      tile((result.value < 0 ? "−" : "") + Fixed(std::abs(result.value), 3),
           EscapeHtml(result.name.substr(0, point)) + "<br>" + EscapeHtml(result.name.substr(point + 1)) + "<br>at " +
               (result.higher_is_better ? "least " : "most ") + Fixed(*result.bar, 2) + " · " + verdict);
    }
  } else {
    const ModelReport& model = report.models.front();
    tile(Fixed(model.plain.p_at_1.value, 3), "P@1, float<br>" + EscapeHtml(Shown(model)));
    tile(Fixed(model.plain.map.value, 3), "mAP, float<br>" + EscapeHtml(Shown(model)));
    tile(Fixed(model.binary().search.p_at_1.value, 3),
         "P@1 as searched<br>" + std::to_string(model.binary().bits) + " bits + int8");
    tile(Fixed(model.binary().search.map.value, 3),
         "mAP as searched<br>" + std::to_string(model.binary().bits) + " bits + int8");
  }
  return html + "</div>";
}

std::string TableSection(const RelevanceReport& report) {
  std::string html =
      "<section><h2>Relevance and latency</h2><p class=\"note\">One row for each way of comparing the same vectors; "
      "small "
      "figures are " +
      Fixed(100 * report.confidence, 0) +
      " % intervals. Latency is that of one picture at a time, in milliseconds: p50, and p99 below.</p>"
      "<div class=\"scroll\"><table><thead><tr><th>Model</th><th>P@1</th><th>P@5</th><th>P@10</th><th>mAP</th>"
      "<th>Extraction</th><th>Retrieval</th><th>Both</th></tr></thead><tbody>";
  const std::string no_latency = "<td></td><td></td><td></td></tr>";
  const auto quality = [](const Quality& one) {
    return Share(one.p_at_1) + Share(one.p_at_5) + Share(one.p_at_10) + Share(one.map);
  };
  for (const ModelReport& model : report.models) {
    html += "<tr class=\"model\"><td colspan=\"8\">" + EscapeHtml(Shown(model)) + " <small>" +
            std::to_string(model.dimension) + " dimensions" +
            (model.images_per_second > 0 ? ", " + Fixed(model.images_per_second, 0) + " pictures/s on " +
                                               std::to_string(report.threads) + " threads"
                                         : "") +
            "</small></td></tr>";
    html += "<tr class=\"way\"><td>float</td>" + quality(model.plain) + Milliseconds(model.latency) + "</tr>";
    html += "<tr class=\"way dim\"><td>float, mean taken off</td>" + quality(model.centred) + no_latency;
    html += "<tr class=\"way\"><td>as searched: " + std::to_string(model.binary().bits) + " bits + int8</td>" +
            quality(model.binary().search) + Milliseconds(model.binary_latency) + "</tr>";
    html += "<tr class=\"way dim\"><td>" + std::to_string(model.binary().bits) + " bits alone</td>" +
            quality(model.binary().hamming) + no_latency;
  }
  return html + "</tbody></table></div></section>";
}

std::string CurveSection(const RelevanceReport& report) {
  LinePlot plot;
  plot.title = "Precision at k for each model";
  plot.x_label = "k, results looked at";
  plot.y_label = "precision at k";
  const size_t length = std::min(kCurveLength, std::max<size_t>(report.pictures, 2) - 1);
  for (size_t k = 1; k <= length; ++k) {
    plot.x.push_back(static_cast<double>(k));
    plot.x_names.push_back(k == 1 || k == 5 || k % 10 == 0 ? std::to_string(k) : "");
  }
  for (size_t i = 0; i < report.models.size(); ++i) {
    const ModelReport& model = report.models[i];
    plot.series.push_back({Shown(model) + ", as searched", ColorOf(report, i), false, model.binary().search.precision});
    plot.series.push_back({Shown(model) + ", float", ColorOf(report, i), true, model.plain.precision});
  }
  return "<section><h2>Precision at k</h2><p class=\"note\">Of the first k results, the share with the query's "
         "label.</p>" +
         RenderLinePlot(plot) + Legend(plot.series) + "</section>";
}

std::string CodeSection(const RelevanceReport& report) {
  const std::vector<CodeReport>& lengths = report.models.front().codes;
  LinePlot plot;
  plot.title = "mAP by length of the code";
  plot.x_label = "bits of the code";
  plot.y_label = "mAP";
  plot.markers = true;
  for (size_t i = 0; i <= lengths.size(); ++i) {
    plot.x.push_back(static_cast<double>(i));
    plot.x_names.push_back(i < lengths.size() ? std::to_string(lengths[i].bits) : "float");
  }
  const double gap = std::numeric_limits<double>::quiet_NaN();
  for (size_t i = 0; i < report.models.size(); ++i) {
    const ModelReport& model = report.models[i];
    LineSeries search{Shown(model) + ", as searched", ColorOf(report, i), false, {}};
    LineSeries hamming{Shown(model) + ", bits alone", ColorOf(report, i), true, {}};
    for (size_t c = 0; c < lengths.size(); ++c) {
      search.y.push_back(c < model.codes.size() ? model.codes[c].search.map.value : gap);
      hamming.y.push_back(c < model.codes.size() ? model.codes[c].hamming.map.value : gap);
    }
    search.y.push_back(model.plain.map.value);
    plot.series.push_back(std::move(search));
    plot.series.push_back(std::move(hamming));
  }
  return "<section><h2>mAP by code length</h2><p class=\"note\">Longer codes find better candidates; the int8 copy "
         "puts "
         "them in order.</p>" +
         RenderLinePlot(plot) + Legend(plot.series) + "</section>";
}

std::string LossSection(const RelevanceReport& report) {
  std::string html =
      "<section><h2>What the compact forms lose</h2><p class=\"note\">Float minus compact form on the same queries, "
      "with "
      "paired intervals: + is a loss, − a gain. A gain is possible, since codes and int8 copies are made after the "
      "mean "
      "is taken off.</p><div class=\"scroll\"><table><thead><tr><th>Model and code</th><th>P@1 as searched</th>"
      "<th>mAP as searched</th><th>P@1 bits alone</th><th>mAP bits alone</th><th>mAP as searched, to centred float</th>"
      "</tr></thead><tbody>";
  for (const ModelReport& model : report.models) {
    if (model.baseline && report.models.size() > 1) continue;
    html += "<tr class=\"model\"><td colspan=\"6\">" + EscapeHtml(Shown(model)) + "</td></tr>";
    for (const CodeReport& code : model.codes) {
      html += "<tr class=\"way\"><td>" + std::to_string(code.bits) + " bits</td>" + LossCell(code.search_loss.p_at_1) +
              LossCell(code.search_loss.map) + LossCell(code.hamming_loss.p_at_1) + LossCell(code.hamming_loss.map) +
              LossCell(code.search_loss_to_centred.map) + "</tr>";
    }
  }
  return html + "</tbody></table></div></section>";
}

std::string ClassSection(const RelevanceReport& report) {
  const ModelReport& model = report.models.front();
  std::vector<const ClassReport*> classes;
  for (const ClassReport& one : model.classes) {
    if (one.queries > 0) classes.push_back(&one);
  }
  std::ranges::stable_sort(classes, std::greater<>(), &ClassReport::binary_p_at_1);
  std::string html = "<section><h2>P@1 of each class</h2><p class=\"note\">" + EscapeHtml(Shown(model)) +
                     ": the bar is the search, the stroke float; beside it the pictures of the class.</p>"
                     "<div class=\"classes\">";
  for (const ClassReport* one : classes) {
    html += "<div class=\"class\"><span class=\"name\" title=\"" + EscapeHtml(one->label) + "\">" +
            EscapeHtml(one->label) +
            "</span><span class=\"track\"><i style=\"width:" + Fixed(100 * one->binary_p_at_1, 1) +
            "%\"></i><u style=\"left:calc(" + Fixed(100 * one->p_at_1, 1) +
            "% - 1px)\"></u></span><span class=\"value\" title=\"float " + Fixed(one->p_at_1, 3) + "\">" +
            Fixed(one->binary_p_at_1, 3) + "</span><span class=\"count\">" + std::to_string(one->pictures) +
            "</span></div>";
  }
  return html + "</div></section>";
}

std::string ConfusionSection(const RelevanceReport& report) {
  const ModelReport& model = report.models.front();
  const size_t labels = report.labels.size();
  std::vector<size_t> order(labels);
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order, [&](size_t label) { return model.classes[label].pictures == 0; });
  std::ranges::stable_sort(order, std::greater<>(), [&](size_t label) { return model.classes[label].pictures; });
  const bool rest = order.size() > kHeatMapLabels;
  const size_t shown = rest ? kHeatMapLabels - 1 : order.size();
  const size_t count = shown + (rest ? 1 : 0);
  std::vector<size_t> group(labels, count == 0 ? 0 : count - 1);
  HeatMap map;
  map.title = "Share of each class's queries whose first result is of the class above";
  for (size_t i = 0; i < shown; ++i) {
    group[order[i]] = i;
    map.names.push_back(report.labels[order[i]]);
  }
  if (rest) map.names.push_back("all others");
  std::vector<double> counts(count * count), totals(count);
  for (const size_t asked : order) {
    for (const size_t got : order) {
      const double number = model.confusion[asked * labels + got];
      counts[group[asked] * count + group[got]] += number;
      totals[group[asked]] += number;
    }
  }
  for (size_t r = 0; r < count; ++r) {
    for (size_t c = 0; c < count; ++c) {
      map.share.push_back(totals[r] > 0 ? counts[r * count + c] / totals[r] : 0);
      map.notes.push_back("asked " + map.names[r] + ", first result " + map.names[c] + ": " +
                          Fixed(counts[r * count + c], 0) + " of " + Fixed(totals[r], 0));
    }
  }
  return "<section><h2>What is taken for what</h2><p class=\"note\">" + EscapeHtml(Shown(model)) +
         ", as searched: of the queries of a row's class, the percentage whose first result is of the column's class" +
         (rest ? " (the largest " + std::to_string(shown) + " classes)" : std::string()) + ".</p>" +
         RenderHeatMap(map) + "</section>";
}

std::string Figure(const RelevanceReport& report, const ExampleRow::Picture& picture, std::string_view kind,
                   const std::string& caption) {
  std::string html =
      "<figure class=\"" + std::string(kind) + "\" title=\"" + EscapeHtml(picture.source) + "\"><div class=\"frame\">";
  const std::string& label = report.labels[picture.label];
  if (!picture.jpeg.empty()) {
    html += "<img alt=\"" + EscapeHtml(label) + "\" src=\"data:image/jpeg;base64," + absl::Base64Escape(picture.jpeg) +
            "\">";
  }
  return html + "</div><figcaption>" + EscapeHtml(label) + "<span>" + caption + "</span></figcaption></figure>";
}

std::string ExampleSection(const RelevanceReport& report) {
  if (report.examples.empty()) return "";
  std::string html = "<section><h2>Queries and their first results</h2><p class=\"note\">" +
                     EscapeHtml(Shown(report.models.front())) +
                     ", as searched. ✓ has the query's label, ✗ has not; the "
                     "figure is the cosine of the int8 vectors.</p>";
  std::string kind;
  for (const ExampleRow& row : report.examples) {
    if (row.kind != kind) {
      kind = row.kind;
      html += kind == "good"    ? "<h3>Answered best</h3>"
              : kind == "drawn" ? "<h3>Drawn by lot</h3>"
                                : "<h3>Answered worst</h3>";
    }
    html += "<div class=\"row\">" + Figure(report, row.query, "ask", "query · AP " + Fixed(row.average_precision, 2)) +
            "<div class=\"strip\">";
    for (const ExampleRow::Picture& result : row.results) {
      html += Figure(report, result, result.relevant ? "hit" : "miss",
                     (result.relevant ? "<b class=\"ok\">✓</b> " : "<b class=\"no\">✗</b> ") + Fixed(result.score, 3));
    }
    html += "</div></div>";
  }
  return html + "</section>";
}

std::string MethodSection(const RelevanceReport& report) {
  std::string html = "<section><h2>How this was measured</h2><dl>";
  const auto fact = [&](std::string_view name, const std::string& text) {
    html += "<dt>" + std::string(name) + "</dt><dd>" + text + "</dd>";
  };
  fact("Relevant", "a picture with the query's label; every picture asks for all the others (leave-one-out)");
  fact("Left out", std::to_string(report.without_relevant) +
                       " pictures that are alone in their class are not asked, but "
                       "can be found; " +
                       std::to_string(report.duplicates) + " repeated files, " + std::to_string(report.unlabelled) +
                       " without a label, " + std::to_string(report.unreadable.size()) + " that cannot be read");
  fact("P@k", "relevant results among the first k, divided by k");
  fact("mAP", "mean over queries of the average precision of the whole ranking");
  fact("As searched", "candidates by exact Hamming scan, the nearest " + std::to_string(report.refined) +
                          " put in order by the cosine of int8 vectors, all others behind them by Hamming distance");
  fact("Intervals", Fixed(100 * report.confidence, 0) + " %, percentile bootstrap over queries, " +
                        std::to_string(report.resamples) + " resamples");
  fact("Latency", std::to_string(report.latency_queries) +
                      " pictures drawn by lot, one at a time: extraction (decode, "
                      "prepare, infer) with " +
                      std::to_string(report.threads) + " threads, retrieval of the best 24 with one");
  fact("Baseline", "8 × 8 × 8 bins of hue, saturation and value, compared by the Bhattacharyya coefficient");
  for (const ModelReport& model : report.models) {
    fact(EscapeHtml(Shown(model)), "<code>" + EscapeHtml(model.feature) + "</code>" +
                                       (model.licence.empty() ? "" : ", " + EscapeHtml(model.licence)));
  }
  html += "</dl>";
  if (!report.unreadable.empty()) {
    html += "<h3>Cannot be read</h3>";
    constexpr size_t kListed = 50;
    for (size_t i = 0; i < std::min(kListed, report.unreadable.size()); ++i) {
      html += "<p class=\"note\"><code>" + EscapeHtml(report.unreadable[i].source) +
              "</code>: " + EscapeHtml(report.unreadable[i].reason) + "</p>";
    }
    if (report.unreadable.size() > kListed) {
      html += "<p class=\"note\">and " + std::to_string(report.unreadable.size() - kListed) + " more</p>";
    }
  }
  return html + "</section>";
}

}  // namespace

std::string RelevanceReportToHtml(const RelevanceReport& report) {
  size_t classes = 0;
  for (const ClassReport& one : report.models.front().classes) classes += one.queries > 0 ? 1 : 0;
  const std::string title = "Search relevance: " + EscapeHtml(report.data);
  return "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
         "content=\"width=device-width,initial-scale=1\"><title>" +
         title + "</title><style>" + std::string(kStyle) + "</style></head><body><main><h1>Search relevance</h1>" +
         "<p class=\"lead\">" + std::to_string(report.queries) + " queries of " + std::to_string(classes) +
         " classes over " + std::to_string(report.pictures) + " pictures of <code>" + EscapeHtml(report.data) +
         "</code>" + (report.field.empty() ? "" : ", label <code>" + EscapeHtml(report.field) + "</code>") +
         ". A result is relevant when it has the query's label.</p>" + Tiles(report) + TableSection(report) +
         "<div class=\"two\">" + CurveSection(report) + CodeSection(report) + "</div>" + LossSection(report) +
         ClassSection(report) + ConfusionSection(report) + ExampleSection(report) + MethodSection(report) +
         "</main></body></html>\n";
}

}  // namespace likeness
