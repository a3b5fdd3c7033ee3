#include "product/pixel_agreement.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "product/displacement.h"

namespace likeness {
namespace {

constexpr float kSamples = 64 * 64;              // of the overlap's box
constexpr int kBlock = 8;                        // samples on a side
constexpr size_t kFewestOfBlock = 32;            // samples that a block must have
constexpr float kPlainBlock = 5;                 // standard deviation of luma below which there is nothing to see
constexpr float kBlockAgrees = 0.8f;             // correlation
constexpr float kSameLuma = 14, kSameColor = 9;  // by which the means of two blocks may differ
constexpr float kSurroundings = 6;               // samples across that a sample is compared with
constexpr float kFaint = 6;                      // luma; what stands out by much more counts hardly more
constexpr float kStandsOut = 8;                  // luma; less is no structure
constexpr float kSameSample = 3, kSameSampleColor = 12;
constexpr float kSameOfStructure = 0.4f;  // of what a sample stands out by: pictures lie a little beside one another
constexpr float kFewestStructured = 64;   // samples
constexpr float kLeastOfBlock = 0.3f;     // of a block's samples: below, nothing of it shows
constexpr size_t kToneStep = 2;           // every so many samples say how tones were changed
constexpr float kSameHue = 10;            // luma by which a sample may differ that tells of its color
// Median difference of color of such samples of a block. A JPEG of quality 10 keeps the mean of each difference of 16 x
// 16 pixels in steps of 10.6: both together may be off by 7.5.
constexpr float kRecolored = 8;
constexpr float kLeastAgreeing = 0.3f;  // share of blocks; below, parts have no places
constexpr float kLaidOver = 64;         // luma by which a sample differs that one of the pictures has not
constexpr int kRefinements = 5;
constexpr float kFarthestMove = 14;  // pixels of the frame that the refinement may move a corner

// One place that both pictures show.
struct Sample {
  Point at;         // in the document's frame
  float value = 0;  // the document's luma there
  int block = 0;
  size_t cell = 0;  // of columns x rows
};

struct Grid {
  std::vector<Sample> samples;
  float spacing = 1;  // pixels of the document's frame
  size_t columns = 0, rows = 0;
  int blocks = 0;
};

bool Inside(Point p, FrameSize frame, float margin) {
  return p.x >= margin && p.y >= margin && p.x <= frame.width - margin && p.y <= frame.height - margin;
}

float ScaleOf(const Affine& t) { return std::sqrt(std::abs(t.determinant())); }

Grid MakeGrid(const Thumbnail& query, const Thumbnail& document, const Affine& transform, const Affine& back) {
  Grid grid;
  const Polygon region = Overlap(query.frame(), transform, document.frame());
  if (region.empty()) return grid;
  Point low = region[0], high = region[0];
  for (const Point& p : region) {
    low = {std::min(low.x, p.x), std::min(low.y, p.y)};
    high = {std::max(high.x, p.x), std::max(high.y, p.y)};
  }
  const float area = (high.x - low.x) * (high.y - low.y);
  const float coarsest = std::max(document.pixel(), query.pixel() * ScaleOf(transform));
  grid.spacing = std::max(std::sqrt(area / kSamples), coarsest);
  const int columns = static_cast<int>((high.x - low.x) / grid.spacing);
  const int rows = static_cast<int>((high.y - low.y) / grid.spacing);
  if (columns < 4 || rows < 4 || columns > 4096 || rows > 4096) return grid;
  grid.columns = static_cast<size_t>(columns);
  grid.rows = static_cast<size_t>(rows);
  const int across = (columns + kBlock - 1) / kBlock;
  grid.blocks = across * ((rows + kBlock - 1) / kBlock);
  const float margin = 0.5f * grid.spacing, query_margin = margin / ScaleOf(transform);
  for (int y = 0; y < rows; ++y) {
    for (int x = 0; x < columns; ++x) {
      Sample sample;
      sample.at = {low.x + (static_cast<float>(x) + 0.5f) * grid.spacing,
                   low.y + (static_cast<float>(y) + 0.5f) * grid.spacing};
      if (!Inside(sample.at, document.frame(), margin)) continue;
      if (!Inside(back(sample.at), query.frame(), query_margin)) continue;
      sample.block = y / kBlock * across + x / kBlock;
      sample.cell = static_cast<size_t>(y * columns + x);
      sample.value = document.LumaAt(sample.at, grid.spacing);
      grid.samples.push_back(sample);
    }
  }
  return grid;
}

// Sums of two variables.
struct Moments {
  double n = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;
  void Add(double u, double v) { n += 1, x += u, y += v, xx += u * u, yy += v * v, xy += u * v; }
  double x_variance() const { return std::max(0.0, xx / n - x / n * (x / n)); }
  double y_variance() const { return std::max(0.0, yy / n - y / n * (y / n)); }
  double covariance() const { return xy / n - x / n * (y / n); }
  double Correlation() const {
    const double both = x_variance() * y_variance();
    return both > 1e-6 ? std::clamp(covariance() / std::sqrt(both), -1.0, 1.0) : 0;
  }
};

double CorrelationOf(const Thumbnail& query, const Grid& grid, const Affine& back) {
  const float width = grid.spacing * ScaleOf(back);
  Moments moments;
  for (const Sample& sample : grid.samples) moments.Add(query.LumaAt(back(sample.at), width), sample.value);
  return moments.n < 16 ? -1 : moments.Correlation();
}

// Solves the symmetric system in place; false when it has no one answer.
bool Solve6(std::array<std::array<double, 7>, 6>& m) {
  for (size_t i = 0; i < 6; ++i) {
    size_t pivot = i;
    for (size_t r = i + 1; r < 6; ++r) {
      if (std::abs(m[r][i]) > std::abs(m[pivot][i])) pivot = r;
    }
    if (std::abs(m[pivot][i]) < 1e-9) return false;
    std::swap(m[i], m[pivot]);
    for (size_t r = 0; r < 6; ++r) {
      if (r == i) continue;
      const double factor = m[r][i] / m[i][i];
      for (size_t c = i; c < 7; ++c) m[r][c] -= factor * m[i][c];
    }
  }
  for (size_t i = 0; i < 6; ++i) m[i][6] /= m[i][i];
  return true;
}

// One step of Gauss and Newton (B. Lucas and T. Kanade, 1981) on the six numbers of `back`, brightness and contrast
// being fitted before; samples that differ much count little.
std::optional<Affine> Step(const Thumbnail& query, const Grid& grid, const Affine& back, float blur) {
  const float width = grid.spacing * ScaleOf(back) * blur, half = 0.5f * width;
  Moments moments;
  std::vector<float> values(grid.samples.size());
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = query.LumaAt(back(grid.samples[i].at), width);
    moments.Add(values[i], grid.samples[i].value);
  }
  if (moments.n < 64 || moments.x_variance() < 1) return std::nullopt;
  const double gain = moments.covariance() / moments.x_variance();
  if (gain < 0.05) return std::nullopt;
  const double offset = moments.y / moments.n - gain * moments.x / moments.n;
  const double spread = std::sqrt(std::max(4.0, moments.y_variance() - gain * gain * moments.x_variance()));
  // Coordinates of the document's frame are brought to about [-1, 1], for numbers of one size.
  constexpr double kUnit = kLocalFrame / 2.0;
  std::array<std::array<double, 7>, 6> system = {};
  for (size_t i = 0; i < values.size(); ++i) {
    const Sample& sample = grid.samples[i];
    const Point p = back(sample.at);
    const double gx = gain * (query.LumaAt({p.x + half, p.y}, width) - query.LumaAt({p.x - half, p.y}, width)) / width;
    const double gy = gain * (query.LumaAt({p.x, p.y + half}, width) - query.LumaAt({p.x, p.y - half}, width)) / width;
    const double residual = sample.value - (gain * values[i] + offset);
    const double weight = 1 / (1 + residual * residual / (spread * spread));
    const double u = sample.at.x / kUnit - 1, v = sample.at.y / kUnit - 1;
    const std::array<double, 6> j = {gx * u, gx * v, gx, gy * u, gy * v, gy};
    for (size_t r = 0; r < 6; ++r) {
      for (size_t c = 0; c < 6; ++c) system[r][c] += weight * j[r] * j[c];
      system[r][6] += weight * j[r] * residual;
    }
  }
  double trace = 0;
  for (size_t i = 0; i < 6; ++i) trace += system[i][i];
  for (size_t i = 0; i < 6; ++i) system[i][i] += 1e-4 * trace + 1e-6;
  if (!Solve6(system)) return std::nullopt;
  Affine moved = back;
  const auto add = [&](float& across, float& down, float& shift, size_t first) {
    const double du = system[first][6], dv = system[first + 1][6];
    across += static_cast<float>(du / kUnit);
    down += static_cast<float>(dv / kUnit);
    shift += static_cast<float>(system[first + 2][6] - du - dv);
  };
  add(moved.a, moved.b, moved.left, 0);
  add(moved.c, moved.d, moved.top, 3);
  return moved;
}

float FarthestMove(FrameSize frame, const Affine& from, const Affine& to) {
  float most = 0;
  for (const Point p : {Point{0, 0}, Point{frame.width, 0}, Point{0, frame.height}, Point{frame.width, frame.height}}) {
    const Point a = from(p), b = to(p);
    most = std::max({most, std::abs(a.x - b.x), std::abs(a.y - b.y)});
  }
  return most;
}

using Color = std::array<float, Thumbnail::kChannels>;  // luma and two differences, as thumbnails have them
using Rgb = std::array<float, 3>;

Rgb RgbOf(const Color& color) {
  const float b = color[0] + color[1] / Rec601::kBlueDifference, r = color[0] + color[2] / Rec601::kRedDifference;
  return {r, (color[0] - Rec601::kRed * r - Rec601::kBlue * b) / Rec601::kGreen, b};
}

// What the samples of both pictures say.
struct Looked {
  std::vector<Color> query, document;
  std::vector<Rgb> query_rgb, document_rgb;
};

// A line from the query's red, green and blue to the document's, cut off where a picture ends.
struct Tone {
  float gain = 1, offset = 0;
  float operator()(float v) const { return std::clamp(gain * v + offset, 0.0f, 255.0f); }
  Tone Inverse() const { return {1 / gain, -offset / gain}; }
};

bool BlownOut(float value) { return value < 6 || value > 249; }

// Whether a value at the end of the range is one that was cut off: what it was is beyond, and no more is known of it.
bool Beyond(double value, double made) { return (value > 249 && made >= 255) || (value < 6 && made <= 0); }

// Fits again and again to what lies near the line, from `tone` on, each of red, green and blue for itself: where a
// garment is blown out, and red behind it, green and blue still say how much brighter all was made.
void RefineTone(const Looked& looked, Tone& tone) {
  for (int round = 0; round < 4; ++round) {
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (size_t i = 0; i < looked.query.size(); i += kToneStep) {
      for (size_t c = 0; c < 3; ++c) {
        const double q = looked.query_rgb[i][c], d = looked.document_rgb[i][c];
        const double residual = (d - tone.gain * q - tone.offset) / 10;
        const double agrees = 1 / (1 + residual * residual);
        const bool beyond = Beyond(d, tone.gain * q + tone.offset) || Beyond(q, (d - tone.offset) / tone.gain);
        const double weight = beyond ? 0.01 * agrees : agrees * agrees;
        n += weight, x += weight * q, y += weight * d, xx += weight * q * q, xy += weight * q * d;
      }
    }
    const double variance = xx / n - x / n * (x / n);
    if (!(n > 1) || variance < 1) break;
    tone.gain = static_cast<float>(std::clamp((xy / n - x / n * (y / n)) / variance, 0.2, 5.0));
    tone.offset = static_cast<float>(y / n - tone.gain * x / n);
  }
}

// How many samples one picture's change of tone explains in the other.
double Explained(const std::vector<Rgb>& from, const std::vector<Rgb>& to, const Tone& tone) {
  double explained = 0;
  for (size_t i = 0; i < from.size(); i += kToneStep) {
    for (size_t c = 0; c < 3; ++c) {
      const double residual = (to[i][c] - tone(from[i][c])) / 10;
      explained += 1 / (1 + residual * residual);
    }
  }
  return explained;
}

// From several guesses the line that explains most: a fit to all is led astray by what is laid over a picture.
Tone FitTone(const Looked& looked) {
  Tone best;
  double most = -1;
  for (const float gain : {1.0f, 1.5f, 0.65f}) {
    Tone tone{gain, 0};
    RefineTone(looked, tone);
    const double explained = std::max(Explained(looked.query_rgb, looked.document_rgb, tone),
                                      Explained(looked.document_rgb, looked.query_rgb, tone.Inverse()));
    if (explained > most) most = explained, best = tone;
  }
  return best;
}

// The color that a change of tone makes of another.
Color Toned(const Rgb& from, const Tone& tone) {
  const float red = tone(from[0]), green = tone(from[1]), blue = tone(from[2]);
  const float luma = Rec601::kRed * red + Rec601::kGreen * green + Rec601::kBlue * blue;
  return {luma, Rec601::kBlueDifference * (blue - luma), Rec601::kRedDifference * (red - luma)};
}

// One picture as the other one's change of tone would have made it, beside that other one; and what surrounds each
// sample, of luma.
struct Rendered {
  std::vector<Color> made, seen;
  std::vector<float> made_around, seen_around;
};

Rendered Render(const std::vector<Rgb>& from, const std::vector<float>& from_around, const std::vector<Color>& to,
                const std::vector<float>& to_around, const Tone& tone) {
  Rendered rendered;
  rendered.made.reserve(from.size());
  for (const Rgb& color : from) rendered.made.push_back(Toned(color, tone));
  for (const float luma : from_around) rendered.made_around.push_back(tone(luma));
  rendered.seen = to;
  rendered.seen_around = to_around;
  return rendered;
}

float TonedShare(const Rendered& rendered, const Grid& grid) {
  struct Sum {
    float n = 0, luma = 0, blue = 0, red = 0;
  };
  std::vector<Sum> sums(static_cast<size_t>(grid.blocks));
  for (size_t i = 0; i < grid.samples.size(); ++i) {
    const Color &made = rendered.made[i], &seen = rendered.seen[i];
    Sum& sum = sums[static_cast<size_t>(grid.samples[i].block)];
    sum.n += 1;
    if (!BlownOut(made[0]) && !BlownOut(seen[0])) sum.luma += seen[0] - made[0];
    sum.blue += seen[1] - made[1];
    sum.red += seen[2] - made[2];
  }
  float blocks = 0, toned = 0;
  for (const Sum& sum : sums) {
    if (sum.n < static_cast<float>(kFewestOfBlock)) continue;
    blocks += sum.n;
    const float color = std::hypot(sum.blue, sum.red);
    if (std::abs(sum.luma) <= kSameLuma * sum.n && color <= kSameColor * sum.n) toned += sum.n;
  }
  return blocks > 0 ? toned / blocks : 0;
}

float DetailOf(const Rendered& rendered) {
  double product = 0, of_made = 0, of_seen = 0;
  for (size_t i = 0; i < rendered.made.size(); ++i) {
    const auto faint = [](float v) { return v / (std::abs(v) + kFaint); };
    const float made = faint(rendered.made[i][0] - rendered.made_around[i]);
    const float seen = faint(rendered.seen[i][0] - rendered.seen_around[i]);
    product += made * seen, of_made += made * made, of_seen += seen * seen;
  }
  return of_made * of_seen > 1e-9 ? static_cast<float>(product / std::sqrt(of_made * of_seen)) : 0;
}

// What is laid over one of the pictures, and what shows between.
void JudgeCover(const Rendered& rendered, const Grid& grid, PixelAgreement& result) {
  struct Count {
    float n = 0, agreeing = 0;
  };
  std::vector<Count> blocks(static_cast<size_t>(grid.blocks));
  // Structure of the one and of the other: letters are structure of but one of them.
  Count made_structure, seen_structure;
  for (size_t i = 0; i < grid.samples.size(); ++i) {
    const Color &made = rendered.made[i], &seen = rendered.seen[i];
    const float luma = std::abs(made[0] - seen[0]), color = std::hypot(made[1] - seen[1], made[2] - seen[2]);
    const float of_made = std::abs(made[0] - rendered.made_around[i]);
    const float of_seen = std::abs(seen[0] - rendered.seen_around[i]);
    const auto count = [&](Count& structure, float stands_out) {
      if (stands_out < kStandsOut) return;
      structure.n += 1;
      if (luma <= kSameSample + kSameOfStructure * stands_out && color <= kSameSampleColor) structure.agreeing += 1;
    };
    count(made_structure, of_made);
    count(seen_structure, of_seen);
    Count& block = blocks[static_cast<size_t>(grid.samples[i].block)];
    block.n += 1;
    if (luma <= kSameLuma + kSameOfStructure * std::min(of_made, of_seen) && color <= kSameSampleColor) {
      block.agreeing += 1;
    }
  }
  const auto share = [](const Count& c) { return c.n < kFewestStructured ? 0 : c.agreeing / c.n; };
  result.shown = std::max(share(made_structure), share(seen_structure));
  float all = 0, lost = 0;
  for (const Count& block : blocks) {
    if (block.n < static_cast<float>(kFewestOfBlock)) continue;
    all += block.n;
    if (block.agreeing < kLeastOfBlock * block.n) lost += block.n;
  }
  result.lost = all > 0 ? lost / all : 1;
}

float Median(std::vector<float>& values) {
  const auto at = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

// Blocks whose brightness is the same and whose color is not: what was dyed, or another article. What the colors of all
// blocks have in common is a cast over the whole picture, and is taken off before. Medians, so that letters between the
// samples of a block do not color it.
// `strength`: what differences are multiplied with, as in a picture made darker they are smaller.
void JudgeColor(const Rendered& rendered, const Grid& grid, const std::vector<bool>& structured, float strength,
                PixelAgreement& result) {
  struct Block {
    float n = 0;
    std::vector<float> blue, red;  // differences, of the samples of the same brightness
    bool Tells() const {
      return n >= static_cast<float>(kFewestOfBlock) && static_cast<float>(blue.size()) >= kLeastOfBlock * n;
    }
  };
  std::vector<Block> blocks(static_cast<size_t>(grid.blocks));
  for (size_t i = 0; i < grid.samples.size(); ++i) {
    const Color &made = rendered.made[i], &seen = rendered.seen[i];
    Block& block = blocks[static_cast<size_t>(grid.samples[i].block)];
    block.n += 1;
    if (std::abs(seen[0] - made[0]) > kSameHue) continue;
    block.blue.push_back(seen[1] - made[1]);
    block.red.push_back(seen[2] - made[2]);
  }
  std::vector<float> blues, reds;
  std::vector<std::pair<float, float>> structures;
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (!blocks[i].Tells()) continue;
    blues.push_back(Median(blocks[i].blue));
    reds.push_back(Median(blocks[i].red));
    if (structured[i]) structures.emplace_back(blues.back(), reds.back());
  }
  if (structures.empty()) return;
  const float blue = Median(blues), red = Median(reds);
  float recolored = 0;
  for (const auto& [b, r] : structures) recolored += strength * std::hypot(b - blue, r - red) > kRecolored ? 1 : 0;
  result.recolored = recolored / static_cast<float>(structures.size());
}

Displacement DisplacementOf(const Rendered& rendered, const Grid& grid) {
  LumaGrid luma{grid.columns, grid.rows, {}, {}};
  luma.first.assign(grid.columns * grid.rows, std::numeric_limits<float>::quiet_NaN());
  luma.second = luma.first;
  for (size_t i = 0; i < grid.samples.size(); ++i) {
    const float made = rendered.made[i][0], seen = rendered.seen[i][0];
    // Where one was cut off its edges lie elsewhere, and letters are no part of the other.
    if (BlownOut(made) != BlownOut(seen) || std::abs(made - seen) > kLaidOver) continue;
    luma.first[grid.samples[i].cell] = made;
    luma.second[grid.samples[i].cell] = seen;
  }
  return MeasureDisplacement(luma);
}

void Judge(const Thumbnail& query, const Thumbnail& document, const Grid& grid, const Affine& back,
           PixelAgreement& result) {
  const float width = grid.spacing * ScaleOf(back);
  std::vector<Moments> blocks(static_cast<size_t>(grid.blocks)), rendered_blocks(blocks.size());
  Moments all;
  double color = 0;
  Looked looked;
  looked.query.reserve(grid.samples.size());
  looked.document.reserve(grid.samples.size());
  std::vector<float> query_around, document_around;
  for (const Sample& sample : grid.samples) {
    const auto q = query.At(back(sample.at), width), d = document.At(sample.at, grid.spacing);
    all.Add(q[0], d[0]);
    blocks[static_cast<size_t>(sample.block)].Add(q[0], d[0]);
    color += std::hypot(q[1] - d[1], q[2] - d[2]);
    looked.query.push_back(q);
    looked.document.push_back(d);
    looked.query_rgb.push_back(RgbOf(q));
    looked.document_rgb.push_back(RgbOf(d));
    query_around.push_back(query.LumaAt(back(sample.at), kSurroundings * width));
    document_around.push_back(document.LumaAt(sample.at, kSurroundings * grid.spacing));
  }
  if (all.n < 16) return;
  // Either picture may be the one that was changed, and what its change has cut off cannot be undone: so each is made
  // of the other, and that which comes nearer is believed.
  const Tone tone = FitTone(looked);
  float gain = tone.gain;  // of the one that is believed
  Rendered rendered = Render(looked.query_rgb, query_around, looked.document, document_around, tone);
  result.toned = TonedShare(rendered, grid);
  result.detail = DetailOf(rendered);
  Rendered other = Render(looked.document_rgb, document_around, looked.query, query_around, tone.Inverse());
  if (const float toned = TonedShare(other, grid); toned > result.toned) {
    rendered = std::move(other);
    gain = 1 / tone.gain;
    result.toned = toned;
    result.detail = DetailOf(rendered);
  }
  JudgeCover(rendered, grid, result);
  for (size_t i = 0; i < grid.samples.size(); ++i) {
    rendered_blocks[static_cast<size_t>(grid.samples[i].block)].Add(rendered.made[i][0], rendered.seen[i][0]);
  }
  double weights = 0, agreeing = 0, correlations = 0;
  std::vector<bool> structured(blocks.size(), false);
  for (size_t i = 0; i < blocks.size(); ++i) {
    const Moments& block = blocks[i];
    if (block.n < kFewestOfBlock) continue;
    const double largest = std::sqrt(std::max(block.x_variance(), block.y_variance()));
    if (largest < kPlainBlock) continue;
    ++result.blocks;
    structured[i] = true;
    const double correlation = std::max(block.Correlation(), rendered_blocks[i].Correlation());
    weights += block.n;
    correlations += block.n * correlation;
    if (correlation >= kBlockAgrees) agreeing += block.n;
  }
  JudgeColor(rendered, grid, structured, std::max(1.0f, 1 / gain), result);
  result.correlation = static_cast<float>(all.Correlation());
  result.contrast = static_cast<float>(std::sqrt(std::min(all.x_variance(), all.y_variance())));
  result.color_difference = static_cast<float>(color / all.n);
  if (weights > 0) {
    result.agreeing = static_cast<float>(agreeing / weights);
    result.block_correlation = static_cast<float>(correlations / weights);
  }
  if (result.agreeing >= kLeastAgreeing) result.displaced = DisplacementOf(rendered, grid).median;
}

}  // namespace

PixelAgreement ComparePixels(const Thumbnail& query, const Thumbnail& document, const Affine& transform) {
  PixelAgreement result;
  result.transform = transform;
  std::optional<Affine> back = transform.Inverse();
  if (!back) return result;
  const Grid grid = MakeGrid(query, document, transform, *back);
  if (grid.samples.size() < 64) return result;

  Affine best = *back, now = *back;
  double correlation = CorrelationOf(query, grid, best);
  for (int i = 0; i < kRefinements; ++i) {
    const std::optional<Affine> next = Step(query, grid, now, i < 2 ? 2.0f : 1.0f);
    if (!next || FarthestMove(document.frame(), *back, *next) * ScaleOf(transform) > kFarthestMove) break;
    now = *next;
    const double found = CorrelationOf(query, grid, now);
    if (found > correlation) correlation = found, best = now;
  }
  const std::optional<Affine> forth = best.Inverse();
  if (!forth) return result;
  result.transform = *forth;
  Judge(query, document, grid, best, result);
  return result;
}

}  // namespace likeness
