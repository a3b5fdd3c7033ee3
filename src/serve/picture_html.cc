#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "absl/strings/escaping.h"
#include "feature/color_query.h"
#include "serve/color_json.h"
#include "serve/picture_facts.h"

namespace likeness {
namespace {

constexpr size_t kWordsShown = 24;

constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--page:#f6f6f4;--card:#fff;--ink:#1c1d1f;--soft:#65686d;--line:#e2e2de;--accent:#137a6a;
--bad:#c0362c;--bit:#1c1d1f;--nobit:#e9e9e4}
@media(prefers-color-scheme:dark){:root{--page:#141517;--card:#1d1f22;--ink:#ececea;--soft:#a0a3a8;--line:#33363a;
--accent:#4cc3ae;--bad:#ff7a6e;--bit:#ececea;--nobit:#2b2e32}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 20px 64px}
h1{font-size:25px;line-height:1.25;margin:0 0 4px;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:17px;margin:0 0 8px}p{margin:0 0 10px}
.lead,.note{color:var(--soft)}.note{font-size:13.5px}code{font:13px/1.45 ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.cols{display:grid;grid-template-columns:minmax(0,1.35fr) minmax(0,1fr);gap:18px;align-items:start;margin-top:18px}
.stack{display:grid;gap:18px;min-width:0}@media(max-width:900px){.cols{grid-template-columns:minmax(0,1fr)}}
section{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:18px 20px;min-width:0}
.bad{border-color:var(--bad)}.bad h2{color:var(--bad)}
.stage{position:relative;border-radius:10px;overflow:hidden;margin-top:12px;line-height:0}
.stage img,.stage svg{display:block;width:100%;height:auto}.stage svg{position:absolute;inset:0;height:100%}
.small .stage img{image-rendering:pixelated}
.layers{display:flex;flex-wrap:wrap;gap:6px 18px;font-size:14px}.layers label{display:flex;gap:7px;align-items:center;cursor:pointer}
.layers input{accent-color:var(--accent);width:16px;height:16px;margin:0}
.view:not(:has(#points:checked)) .points,.view:not(:has(#mask:checked)) .mask,.view:not(:has(#box:checked)) .box{display:none}
.points{fill:none;stroke:#ffd02b;stroke-width:1.1;vector-effect:non-scaling-stroke}.points .under{stroke:#0009;stroke-width:2.6}
.points path{vector-effect:non-scaling-stroke}
.mask path{fill:#0b0d1099}.box rect{fill:none;stroke:#ff3d7f;stroke-width:2.5;vector-effect:non-scaling-stroke}
.bar{display:flex;height:54px;border-radius:10px;overflow:hidden;border:1px solid var(--line);margin:4px 0 12px}
.swatches{display:grid;gap:7px;margin:0;padding:0;list-style:none;font-variant-numeric:tabular-nums}
.swatches li{display:grid;grid-template-columns:22px minmax(0,1fr) 76px 60px;gap:10px;align-items:center;text-align:right}
.swatches i{width:22px;height:22px;border-radius:6px;border:1px solid var(--line)}.swatches b{font-weight:600;text-align:left}
dl{display:grid;grid-template-columns:118px minmax(0,1fr);gap:5px 12px;margin:0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.hash{display:grid;grid-template-columns:132px minmax(0,1fr);gap:18px;align-items:start}
.bits{width:100%;height:auto;display:block;border-radius:6px;background:var(--nobit)}.bits path{fill:var(--bit)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:14px}
th{font-weight:600;font-size:12.5px;color:var(--soft);text-align:right;padding:4px 8px 4px 0;border-bottom:1px solid var(--line)}
td{text-align:right;padding:4px 8px 4px 0;vertical-align:top}th:first-child,td:first-child{text-align:left}
td.text,th.text{text-align:left;overflow-wrap:anywhere}
.scroll{overflow-x:auto}.no{color:var(--bad)}.deep+.deep{margin-top:18px;padding-top:16px;border-top:1px solid var(--line)}
.pins{margin:0;padding:0;list-style:none;display:grid;gap:8px}
)css";

std::string Escape(std::string_view text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

std::string Number(double value, int digits) {
  char text[48];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

std::string Section(std::string_view title, const std::string& body, std::string_view extra = "") {
  return "<section" + std::string(extra) + "><h2>" + Escape(title) + "</h2>" + body + "</section>\n";
}

// Bit i of `words` as a square in row i / across.
std::string BitsSvg(std::span<const uint64_t> words, size_t bits, size_t across) {
  std::string path;
  for (size_t i = 0; i < bits; ++i) {
    if ((words[i / 64] >> (i % 64) & 1) == 0) continue;
    path += "M" + std::to_string(i % across) + " " + std::to_string(i / across) + "h1v1h-1z";
  }
  const size_t rows = (bits + across - 1) / across;
  return "<svg class=\"bits\" shape-rendering=\"crispEdges\" viewBox=\"0 0 " + std::to_string(across) + " " +
         std::to_string(rows) + "\" role=\"img\" aria-label=\"bits\"><path d=\"" + path + "\"/></svg>";
}

// A circle of the blob's size and a line along its angle.
std::string KeypointsSvg(const PictureFacts& facts) {
  std::string path;
  for (const Keypoint& point : facts.keypoints.keypoints) {
    const double r = 2.0 * static_cast<double>(point.sigma), x = static_cast<double>(point.x),
                 y = static_cast<double>(point.y), angle = static_cast<double>(point.angle);
    const std::string radius = Number(r, 1), across = Number(2 * r, 1);
    path += "M" + Number(x - r, 1) + " " + Number(y, 1) + "a" + radius + " " + radius + " 0 1 0 " + across + " 0a" +
            radius + " " + radius + " 0 1 0 -" + across + " 0M" + Number(x, 1) + " " + Number(y, 1) + "l" +
            Number(r * std::cos(angle), 1) + " " + Number(r * std::sin(angle), 1);
  }
  const double longer = std::max(facts.width, facts.height), frame = kLocalFrame / longer;
  return "<svg class=\"points\" preserveAspectRatio=\"none\" viewBox=\"0 0 " + Number(facts.width * frame, 2) + " " +
         Number(facts.height * frame, 2) + "\"><path class=\"under\" d=\"" + path + "\"/><path d=\"" + path +
         "\"/></svg>";
}

// What does not belong to the region, dimmed, and the region's box.
std::string SalientSvg(const PictureFacts& facts) {
  const SalientRegion& region = facts.salient;
  std::string path;
  for (uint32_t y = 0; y < region.height; ++y) {
    for (uint32_t x = 0; x < region.width;) {
      uint32_t end = x;
      while (end < region.width && region.mask[y * region.width + end] == 0) ++end;
      if (end > x) {
        const std::string run = std::to_string(end - x);
        path += "M" + std::to_string(x) + " " + std::to_string(y) + "h" + run + "v1h-" + run + "z";
      }
      x = std::max(end, x + 1);
    }
  }
  const Region& box = region.box;
  return "<svg class=\"mask\" preserveAspectRatio=\"none\" shape-rendering=\"crispEdges\" viewBox=\"0 0 " +
         std::to_string(region.width) + " " + std::to_string(region.height) + "\"><path d=\"" + path +
         "\"/></svg><svg class=\"box\" preserveAspectRatio=\"none\" viewBox=\"0 0 " + std::to_string(facts.width) +
         " " + std::to_string(facts.height) + "\"><rect x=\"" + std::to_string(box.x) + "\" y=\"" +
         std::to_string(box.y) + "\" width=\"" + std::to_string(box.width) + "\" height=\"" +
         std::to_string(box.height) + "\"/></svg>";
}

std::string View(const PictureFacts& facts) {
  const Region& box = facts.salient.box;
  std::string html = "<div class=\"layers\"><label><input type=\"checkbox\" id=\"points\" checked>" +
                     std::to_string(facts.keypoints.size()) +
                     " keypoints</label><label><input type=\"checkbox\" id=\"mask\">Salient mask</label>"
                     "<label><input type=\"checkbox\" id=\"box\" checked>Salient box</label></div><div class=\"stage\">"
                     "<img alt=\"The picture\" src=\"data:image/jpeg;base64," +
                     absl::Base64Escape(absl::string_view(facts.jpeg.data(), facts.jpeg.size())) + "\">";
  if (!facts.salient.mask.empty()) html += SalientSvg(facts);
  html += KeypointsSvg(facts) + "</div><p class=\"note\" style=\"margin:12px 0 0\">";
  html += facts.salient.whole ? std::string("Nothing stands out: the whole picture is its own region.")
                              : "What stands out: " + std::to_string(box.width) + " × " + std::to_string(box.height) +
                                    " pixels from (" + std::to_string(box.x) + ", " + std::to_string(box.y) + ").";
  const bool small = std::max(facts.width, facts.height) < 256;
  return "<section class=\"view" + std::string(small ? " small" : "") + "\"><h2>Picture</h2>" + html +
         "</p></section>\n";
}

std::string Colors(const PictureFacts& facts) {
  std::string bar = "<div class=\"bar\">", list = "<ul class=\"swatches\">";
  for (const SalientColor& color : facts.colors) {
    const std::string hex = HexColor(color.lab), share = Number(100 * static_cast<double>(color.weight), 1) + " %";
    bar += "<span style=\"background:" + hex + ";flex:" + Number(static_cast<double>(color.weight), 4) + "\" title=\"" +
           hex + "\"></span>";
    list += "<li><i style=\"background:" + hex + "\"></i><b>" + Escape(NearestColorName(color.lab)) + "</b><code>" +
            hex + "</code><span>" + share + "</span></li>";
  }
  return Section("Palette", bar + "</div>" + list + "</ul>");
}

std::string Hash(const PictureFacts& facts) {
  if (!facts.hash) return "";
  const PdqHash& hash = facts.hash->hash;
  const std::string quality = std::to_string(facts.hash->quality);
  return Section("Perceptual hash",
                 "<div class=\"hash\">" + BitsSvg(hash.words, PdqHash::kBits, 16) + "<div><p><code>" + PdqToHex(hash) +
                     "</code></p><p class=\"note\">PDQ, 256 bits, quality " + quality +
                     (facts.hash->quality < kPdqUsableQuality ? ": too low to compare by." : " of 100.") +
                     " Row u, column v: the coefficient with u + 1 half waves down and v + 1 across.</p></div></div>");
}

std::string Deep(const PictureFacts& facts) {
  std::string html;
  for (const PictureFacts::Deep& deep : facts.deep) {
    std::string first;
    for (const float component : deep.first) {
      first += (first.empty() ? "" : ", ") + Number(static_cast<double>(component), 3);
    }
    html += "<div class=\"deep\"><dl><dt>Feature</dt><dd><code>" + deep.key.ToString() +
            "</code></dd><dt>Norm</dt><dd>" + Number(deep.norm, 3) + "</dd><dt>Components</dt><dd>" + first +
            ", … of " + std::to_string(deep.dimension) + "</dd><dt>Code</dt><dd>" +
            (deep.code_bits == 0 ? std::string("none: no release has this version")
                                 : std::to_string(deep.code_bits) + " bits, below") +
            "</dd></dl>";
    if (deep.code_bits > 0) html += "<p></p>" + BitsSvg(deep.code, deep.code_bits, 64);
    html += "</div>";
  }
  return html.empty() ? "" : Section("Deep features", html);
}

std::string Words(const PictureFacts& facts) {
  if (facts.words.empty()) return "";
  std::map<uint32_t, size_t> counts;
  for (const LocalFeature& word : facts.words) ++counts[word.word];
  std::string html = "<p class=\"note\">" + std::to_string(facts.words.size()) + " keypoints, " +
                     std::to_string(counts.size()) + " different words of " + std::to_string(facts.vocabulary) +
                     ". The strongest keypoints:</p><div class=\"scroll\"><table><tr><th>Word</th><th>Signature</th>"
                     "<th>x</th><th>y</th><th>Scale</th><th>Angle</th></tr>";
  for (size_t i = 0; i < std::min(kWordsShown, facts.words.size()); ++i) {
    const LocalFeature& word = facts.words[i];
    char signature[20];
    std::snprintf(signature, sizeof(signature), "%016llx", static_cast<unsigned long long>(word.signature));
    html += "<tr><td>" + std::to_string(word.word) + "</td><td><code>" + signature + "</code></td><td>" +
            Number(static_cast<double>(word.x), 1) + "</td><td>" + Number(static_cast<double>(word.y), 1) +
            "</td><td>" + Number(static_cast<double>(word.sigma), 1) + "</td><td>" +
            Number(static_cast<double>(word.angle) * 180 / M_PI, 0) + "°</td></tr>";
  }
  return Section("Visual words", html + "</table></div>");
}

std::string File(const PictureFacts& facts) {
  std::string rows;
  const auto row = [&rows](std::string_view name, const std::string& value) {
    if (!value.empty()) rows += "<dt>" + std::string(name) + "</dt><dd>" + value + "</dd>";
  };
  if (facts.width > 0) {
    row("Size", std::to_string(facts.width) + " × " + std::to_string(facts.height) + " pixels");
  }
  row("Format", Escape(facts.format));
  row("File", std::to_string(facts.bytes) + " bytes");
  row("First seen", facts.epoch);
  row("Shard", facts.shard);
  row("Signature", "<code>" + facts.signature.Hex() + "</code>");
  return Section("File", "<dl>" + rows + "</dl>");
}

std::string Pins(const PictureFacts& facts) {
  if (!facts.known) return Section("Pins", "<p class=\"note\">The collection does not have this picture.</p>");
  if (facts.pins.empty()) return Section("Pins", "<p class=\"note\">Nobody pinned it.</p>");
  std::string html = "<ul class=\"pins\">";
  for (const Pin& pin : facts.pins) {
    html += "<li>" + Escape(pin.description.empty() ? pin.id : pin.description);
    const std::string& board = pin.board_title.empty() ? pin.board : pin.board_title;
    if (!board.empty()) html += " <span class=\"note\">on " + Escape(board) + "</span>";
    html += "</li>";
  }
  return Section("Pins", html + "</ul>");
}

std::string States(const PictureFacts& facts) {
  if (facts.states.empty()) return "";
  std::string html = "<table><tr><th>Feature</th><th class=\"text\">This picture</th>";
  html += facts.known ? "<th class=\"text\">In the store</th></tr>" : "</tr>";
  for (const PictureFacts::State& state : facts.states) {
    html += "<tr><td><code>" + Escape(state.key.empty() ? state.type : state.key) + "</code></td><td class=\"text" +
            (state.reason.empty() ? "\">has a value" : " no\">" + Escape(state.reason)) + "</td>";
    if (facts.known)
      html += "<td class=\"text\">" + (state.stored.empty() ? "nothing yet" : Escape(state.stored)) + "</td>";
    html += "</tr>";
  }
  return Section("Features", "<div class=\"scroll\">" + html + "</table></div>");
}

}  // namespace

std::string PictureHtml(const PictureFacts& facts) {
  std::string html =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\"><title>" +
      Escape(facts.source) + " · Likeness</title><style>" + std::string(kStyle) + "</style></head><body><main>\n<h1>" +
      Escape(facts.source) + "</h1><p class=\"lead\">Everything that Likeness knows of this picture.</p>\n";
  if (!facts.quarantine.empty()) {
    html += Section("Set aside", "<p>This picture is not used: " + Escape(facts.quarantine) + "</p>", " class=\"bad\"");
  }
  if (!facts.unreadable.empty()) {
    html += Section("Cannot be read", "<p>This image cannot be read: " + Escape(facts.unreadable) + "</p>",
                    " class=\"bad\"");
    return html + "<div class=\"stack\" style=\"margin-top:18px\">" + File(facts) + Pins(facts) +
           "</div></main></body></html>\n";
  }
  html += "<div class=\"cols\"><div class=\"stack\">" + View(facts) + States(facts) + Words(facts) +
          "</div><div class=\"stack\">" + Colors(facts) + Hash(facts) + Deep(facts) + File(facts) + Pins(facts) +
          "</div></div></main></body></html>\n";
  return html;
}

}  // namespace likeness
