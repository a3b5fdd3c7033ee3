#include "rank/verify.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>
#include <numeric>
#include <tuple>

#include "kernel/pair_map.h"

namespace likeness {
namespace {

constexpr size_t kFewestInliers = 3;
constexpr size_t kNearestOfRow = 4;    // query keypoints that a document's row is paired with, at most
constexpr float kPlaceStep = 3;        // pixels of the frame; keypoints of one cell are one place
constexpr float kMostTurn = 0.7f;      // radians by which a pair's turn may differ from the guess
constexpr float kMostLogScale = 0.8f;  // the same of its scale, natural logarithm
constexpr float kConeShare = 0.12f;    // of the distance from the pair that a guess is of: its error grows with it
constexpr float kHalfTurn = static_cast<float>(std::numbers::pi);

// One pair that may be right.
struct Pair {
  Point q, d;
  float log_scale = 0, turn = 0;  // document's over query's
  float sigma = 1;                // of the document's keypoint
  uint32_t distance = 0;
  uint32_t query_keypoint = 0, document_row = 0;
  uint32_t query_place = 0, document_place = 0;
  auto Order() const { return std::tuple(distance, query_keypoint, document_row); }
};

float Cross(Point o, Point a, Point b) { return (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x); }

uint32_t PlaceKey(float x, float y) {
  const auto cell = [](float v) { return static_cast<uint32_t>(std::clamp(v, 0.0f, 2.0f * kLocalFrame) / kPlaceStep); };
  return cell(y) << 16 | cell(x);
}

float TurnBetween(float a, float b) {
  float turn = std::fmod(a - b, 2 * kHalfTurn);
  if (turn > kHalfTurn) turn -= 2 * kHalfTurn;
  if (turn < -kHalfTurn) turn += 2 * kHalfTurn;
  return turn;
}

Affine Similarity(float scale, float turn, Point from, Point to) {
  const float cos = scale * std::cos(turn), sin = scale * std::sin(turn);
  Affine t{cos, -sin, 0, sin, cos, 0};
  const Point at = t(from);
  t.left = to.x - at.x;
  t.top = to.y - at.y;
  return t;
}

std::vector<Pair> FindPairs(const VerifyQuery& query, std::span<const LocalFeature> document,
                            const VerifyOptions& options) {
  std::vector<Pair> pairs;
  const std::span<const VerifyQuery::Row> rows = query.rows();
  size_t begin = 0;
  std::vector<std::pair<uint32_t, uint32_t>> nearest;  // distance, keypoint
  for (size_t i = 0; i < document.size(); ++i) {
    const LocalFeature& feature = document[i];
    if (i > 0 && feature.word < document[i - 1].word) begin = 0;  // rows that are in no order cost time, no answers
    while (begin < rows.size() && rows[begin].word < feature.word) ++begin;
    nearest.clear();
    for (size_t j = begin; j < rows.size() && rows[j].word == feature.word; ++j) {
      const auto distance = static_cast<uint32_t>(std::popcount(rows[j].signature ^ feature.signature));
      if (distance <= options.most_distance) nearest.emplace_back(distance, rows[j].keypoint);
    }
    const size_t kept = std::min(nearest.size(), kNearestOfRow);
    std::partial_sort(nearest.begin(), nearest.begin() + static_cast<ptrdiff_t>(kept), nearest.end());
    for (size_t j = 0; j < kept; ++j) {
      const VerifyQuery::Keypoint& keypoint = query.keypoints()[nearest[j].second];
      Pair pair;
      pair.q = {keypoint.x, keypoint.y};
      pair.d = {feature.x, feature.y};
      pair.log_scale = std::log(std::max(feature.sigma, 1e-3f) / std::max(keypoint.sigma, 1e-3f));
      pair.turn = TurnBetween(feature.angle, keypoint.angle);
      pair.sigma = feature.sigma;
      pair.distance = nearest[j].first;
      pair.query_keypoint = nearest[j].second;
      pair.document_row = static_cast<uint32_t>(i);
      pair.query_place = keypoint.place;
      pair.document_place = PlaceKey(feature.x, feature.y);
      pairs.push_back(pair);
    }
  }
  std::ranges::sort(pairs, {}, &Pair::Order);
  if (pairs.size() > options.most_pairs) pairs.resize(options.most_pairs);
  return pairs;
}

// Counts places, each once, without clearing between counts.
class PlaceCount {
 public:
  PlaceCount(std::vector<Pair>& pairs, size_t query_places) : query_(query_places, 0) {
    std::vector<uint32_t> keys;
    keys.reserve(pairs.size());
    for (const Pair& pair : pairs) keys.push_back(pair.document_place);
    std::ranges::sort(keys);
    keys.erase(std::ranges::unique(keys).begin(), keys.end());
    for (Pair& pair : pairs) {
      pair.document_place = static_cast<uint32_t>(std::ranges::lower_bound(keys, pair.document_place) - keys.begin());
    }
    document_.assign(keys.size(), 0);
  }
  void Begin() { ++now_; }
  // Whether both places are new.
  bool Take(const Pair& pair) {
    uint32_t& q = query_[pair.query_place];
    uint32_t& d = document_[pair.document_place];
    if (q == now_ || d == now_) return false;
    q = d = now_;
    return true;
  }

 private:
  std::vector<uint32_t> query_, document_;
  uint32_t now_ = 0;
};

class Solver {
 public:
  Solver(std::vector<Pair> pairs, size_t query_places, const VerifyOptions& options)
      : pairs_(std::move(pairs)),
        options_(options),
        count_(pairs_, query_places),
        columns_(7 * pairs_.size()),
        marks_((pairs_.size() + 63) / 64) {
    const size_t n = pairs_.size();
    for (size_t i = 0; i < n; ++i) {
      const Pair& pair = pairs_[i];
      const float values[] = {
          pair.q.x, pair.q.y, pair.d.x, pair.d.y, pair.log_scale, pair.turn, 0.25f * std::min(pair.sigma, 40.0f)};
      for (size_t c = 0; c < 7; ++c) columns_[c * n + i] = values[c];
    }
    const auto column = [&](size_t c) { return std::span<const float>(columns_).subspan(c * n, n); };
    points_ = {column(0), column(1), column(2), column(3), column(4), column(5), column(6)};
  }

  struct Answer {
    Affine transform;
    std::vector<uint32_t> inliers;  // indices of pairs, one for each place
    double error = 0;               // sum of squares
    bool BetterThan(const Answer& other) const {
      return inliers.size() != other.inliers.size() ? inliers.size() > other.inliers.size() : error < other.error;
    }
  };

  Answer Solve() {
    struct Guess {
      size_t support = 0;
      uint32_t pair = 0;
    };
    std::vector<Guess> guesses;
    const float most_log = std::log(options_.largest_scale);
    for (uint32_t i = 0; i < pairs_.size() && guesses.size() < options_.most_guesses; ++i) {
      if (std::abs(pairs_[i].log_scale) > most_log) continue;
      guesses.push_back({Support(pairs_[i]), i});
    }
    std::ranges::stable_sort(guesses, std::greater<>(), &Guess::support);
    Answer best;
    std::vector<bool> explained(pairs_.size(), false);
    size_t refined = 0;
    for (const Guess& guess : guesses) {
      if (refined == options_.refined || guess.support < std::max(kFewestInliers, best.inliers.size() / 2)) break;
      // A pair that an answer already has would lead to the same answer.
      if (explained[guess.pair]) continue;
      ++refined;
      Answer answer = Refine(Agreeing(pairs_[guess.pair]));
      for (const uint32_t i : answer.inliers) explained[i] = true;
      if (answer.BetterThan(best)) best = std::move(answer);
    }
    if (best.inliers.size() < kFewestInliers) best = {};
    return best;
  }

  const std::vector<Pair>& pairs() const { return pairs_; }

 private:
  static PairMap MapOf(const Affine& t, float log_scale, float turn) {
    return {.a = t.a,
            .b = t.b,
            .left = t.left,
            .c = t.c,
            .d = t.d,
            .top = t.top,
            .log_scale = log_scale,
            .turn = turn,
            .most_log_scale = kMostLogScale,
            .most_turn = kMostTurn};
  }

  // Marks the pairs that lie about where the guess of `of` has them, and counts them. A guess from one keypoint is the
  // less exact the further one goes from it.
  size_t MarkAgreeing(const Pair& of) {
    const float scale = std::exp(of.log_scale);
    PairMap map = MapOf(Similarity(scale, of.turn, of.q, of.d), of.log_scale, of.turn);
    map.base = 2 * options_.tolerance * std::max(1.0f, scale);
    map.cone = kConeShare;
    map.center_x = of.d.x;
    map.center_y = of.d.y;
    MarkExplained(points_, map, marks_);
    size_t count = 0;
    for (const uint64_t word : marks_) count += static_cast<size_t>(std::popcount(word));
    return count;
  }

  // Calls take(i) for the marked pairs, in order, one for each place.
  template <typename Taker>
  void EachPlace(const Taker& take) {
    count_.Begin();
    for (size_t w = 0; w < marks_.size(); ++w) {
      for (uint64_t word = marks_[w]; word != 0; word &= word - 1) {
        const auto i = static_cast<uint32_t>(64 * w + static_cast<size_t>(std::countr_zero(word)));
        if (count_.Take(pairs_[i])) take(i);
      }
    }
  }

  // How many places agree; where that is too few anyway, how many pairs.
  size_t Support(const Pair& of) {
    const size_t marked = MarkAgreeing(of);
    if (marked < kFewestInliers) return marked;
    size_t places = 0;
    EachPlace([&](uint32_t) { ++places; });
    return places;
  }

  std::vector<uint32_t> Agreeing(const Pair& of) {
    MarkAgreeing(of);
    std::vector<uint32_t> found;
    EachPlace([&](uint32_t i) { found.push_back(i); });
    return found;
  }

  // Least squares; affine where the places are enough and not on a line, else a turn, scale and shift.
  std::optional<Affine> Fit(const std::vector<uint32_t>& chosen) const {
    const auto n = static_cast<double>(chosen.size());
    double qx = 0, qy = 0, dx = 0, dy = 0;
    for (const uint32_t i : chosen) {
      qx += pairs_[i].q.x, qy += pairs_[i].q.y, dx += pairs_[i].d.x, dy += pairs_[i].d.y;
    }
    qx /= n, qy /= n, dx /= n, dy /= n;
    double xx = 0, xy = 0, yy = 0, ux = 0, uy = 0, vx = 0, vy = 0;
    for (const uint32_t i : chosen) {
      const double x = pairs_[i].q.x - qx, y = pairs_[i].q.y - qy, u = pairs_[i].d.x - dx, v = pairs_[i].d.y - dy;
      xx += x * x, xy += x * y, yy += y * y;
      ux += u * x, uy += u * y, vx += v * x, vy += v * y;
    }
    if (xx + yy < n) return std::nullopt;  // all in one spot
    const double determinant = xx * yy - xy * xy, trace = xx + yy;
    Affine t;
    if (chosen.size() >= 6 && determinant > 0.02 * trace * trace) {
      t.a = static_cast<float>((ux * yy - uy * xy) / determinant);
      t.b = static_cast<float>((uy * xx - ux * xy) / determinant);
      t.c = static_cast<float>((vx * yy - vy * xy) / determinant);
      t.d = static_cast<float>((vy * xx - vx * xy) / determinant);
    } else {
      t.a = t.d = static_cast<float>((ux + vy) / trace);
      t.c = static_cast<float>((vx - uy) / trace);
      t.b = -t.c;
    }
    t.left = static_cast<float>(dx - t.a * qx - t.b * qy);
    t.top = static_cast<float>(dy - t.c * qx - t.d * qy);
    if (!Plausible(t)) return std::nullopt;
    return t;
  }

  bool Plausible(const Affine& t) const {
    // Singular values of the linear part: half the sum and difference of two lengths.
    const float e = (t.a + t.d) / 2, f = (t.a - t.d) / 2, g = (t.c + t.b) / 2, h = (t.c - t.b) / 2;
    const float q = std::sqrt(e * e + h * h), r = std::sqrt(f * f + g * g);
    const float large = q + r, small = q - r;
    return small > 0 && large <= options_.largest_aspect * small && large <= options_.largest_scale &&
           small * options_.largest_scale >= 1;
  }

  Answer Inliers(const Affine& t, float factor) {
    Answer answer;
    answer.transform = t;
    const float scale = std::sqrt(std::abs(t.determinant())), log_scale = std::log(scale);
    const float turn = std::atan2(t.c - t.b, t.a + t.d);
    PairMap map = MapOf(t, log_scale, turn);
    map.factor = factor;
    map.base = options_.tolerance * std::max(1.0f, scale);
    map.slack_share = 1;
    MarkExplained(points_, map, marks_);
    EachPlace([&](uint32_t i) {
      const Point at = t(pairs_[i].q);
      const float dx = at.x - pairs_[i].d.x, dy = at.y - pairs_[i].d.y;
      answer.inliers.push_back(i);
      answer.error += dx * dx + dy * dy;
    });
    return answer;
  }

  Answer Refine(const std::vector<uint32_t>& start) {
    Answer best;
    std::vector<uint32_t> chosen = start;
    for (const float factor : {3.0f, 2.0f, 1.5f, 1.0f, 1.0f, 1.0f}) {
      if (chosen.size() < kFewestInliers) break;
      const std::optional<Affine> t = Fit(chosen);
      if (!t) break;
      Answer answer = Inliers(*t, factor);
      chosen = answer.inliers;
      if (factor == 1.0f && answer.BetterThan(best)) best = std::move(answer);
    }
    return best;
  }

  std::vector<Pair> pairs_;
  const VerifyOptions& options_;
  PlaceCount count_;
  std::vector<float> columns_;  // of points_
  PointPairs points_;
  std::vector<uint64_t> marks_;  // of MarkExplained
};

// Andrew's monotone chain.
Polygon Hull(std::vector<Point> points) {
  std::ranges::sort(points, {}, [](Point p) { return std::pair(p.x, p.y); });
  if (points.size() < 3) return {};
  Polygon hull;
  for (int side = 0; side < 2; ++side) {
    const size_t start = hull.size();
    for (const Point& p : points) {
      while (hull.size() >= start + 2 && Cross(hull[hull.size() - 2], hull.back(), p) <= 0) hull.pop_back();
      hull.push_back(p);
    }
    hull.pop_back();
    std::ranges::reverse(points);
  }
  return hull;
}

// Whether p is in the convex polygon, whichever way around it goes.
bool Contains(std::span<const Point> polygon, Point p) {
  bool left = false, right = false;
  for (size_t i = 0; i < polygon.size(); ++i) {
    const float cross = Cross(polygon[i], polygon[(i + 1) % polygon.size()], p);
    left |= cross > 0;
    right |= cross < 0;
  }
  return !polygon.empty() && !(left && right);
}

}  // namespace

std::optional<Affine> Affine::Inverse() const {
  const float det = determinant();
  if (!(std::abs(det) > 1e-12f)) return std::nullopt;
  Affine t{d / det, -b / det, 0, -c / det, a / det, 0};
  t.left = -(t.a * left + t.b * top);
  t.top = -(t.c * left + t.d * top);
  return t;
}

Affine Affine::After(const Affine& first) const {
  Affine t{a * first.a + b * first.c, a * first.b + b * first.d, 0,
           c * first.a + d * first.c, c * first.b + d * first.d, 0};
  const Point at = (*this)({first.left, first.top});
  t.left = at.x;
  t.top = at.y;
  return t;
}

FrameSize FrameOf(uint32_t width, uint32_t height) {
  if (width == 0 || height == 0) return {};
  const float scale = kLocalFrame / static_cast<float>(std::max(width, height));
  return {static_cast<float>(width) * scale, static_cast<float>(height) * scale};
}

float AreaOf(std::span<const Point> polygon) {
  float twice = 0;
  for (size_t i = 2; i < polygon.size(); ++i) twice += Cross(polygon[0], polygon[i - 1], polygon[i]);
  return std::abs(twice) / 2;
}

// I. Sutherland and G. Hodgman, "Reentrant Polygon Clipping" (CACM 1974).
Polygon Overlap(FrameSize from, const Affine& transform, FrameSize to) {
  Polygon polygon = {transform({0, 0}), transform({from.width, 0}), transform({from.width, from.height}),
                     transform({0, from.height})};
  const auto clip = [&polygon](auto inside) {  // inside(p): how far p is within the edge
    Polygon kept;
    for (size_t i = 0; i < polygon.size(); ++i) {
      const Point a = polygon[i], b = polygon[(i + 1) % polygon.size()];
      const float at_a = inside(a), at_b = inside(b);
      if (at_a >= 0) kept.push_back(a);
      if ((at_a >= 0) != (at_b >= 0)) {
        const float share = at_a / (at_a - at_b);
        kept.push_back({a.x + share * (b.x - a.x), a.y + share * (b.y - a.y)});
      }
    }
    polygon = std::move(kept);
  };
  clip([](Point p) { return p.x; });
  clip([](Point p) { return p.y; });
  clip([&](Point p) { return to.width - p.x; });
  clip([&](Point p) { return to.height - p.y; });
  if (polygon.size() < 3) polygon.clear();
  return polygon;
}

VerifyQuery::VerifyQuery(std::span<const LocalFeature> features, FrameSize frame, bool mirrored)
    : frame_(frame), mirrored_(mirrored) {
  std::map<std::tuple<float, float, float, float>, uint32_t> keypoints;
  std::map<uint32_t, uint32_t> places;
  rows_.reserve(features.size());
  for (const LocalFeature& f : features) {
    const auto [known, is_new] =
        keypoints.try_emplace({f.x, f.y, f.sigma, f.angle}, static_cast<uint32_t>(keypoints_.size()));
    if (is_new) {
      const auto [place, first] = places.try_emplace(PlaceKey(f.x, f.y), static_cast<uint32_t>(places_.size()));
      if (first) places_.push_back({f.x, f.y});
      keypoints_.push_back({f.x, f.y, f.sigma, f.angle, place->second});
    }
    rows_.push_back({f.word, known->second, f.signature});
  }
  std::ranges::sort(rows_, {}, [](const Row& row) { return std::tuple(row.word, row.keypoint, row.signature); });
}

Verification Verify(const VerifyQuery& query, std::span<const LocalFeature> document, FrameSize frame,
                    const VerifyOptions& options) {
  Verification result;
  std::vector<Pair> pairs = FindPairs(query, document, options);
  result.pairs = pairs.size();
  if (pairs.size() < kFewestInliers) return result;
  Solver solver(std::move(pairs), query.places().size(), options);
  const Solver::Answer answer = solver.Solve();
  if (answer.inliers.empty()) return result;

  // Mirrored rows lie at width - x.
  const Affine mirror{-1, 0, query.frame().width, 0, 1, 0};
  const Affine transform = query.mirrored() ? answer.transform.After(mirror) : answer.transform;
  const std::optional<Affine> back = transform.Inverse();
  Polygon region = Overlap(query.frame(), transform, frame);
  const float area = AreaOf(region);
  if (!back || region.empty() || !(area > 0)) return result;

  result.inliers = answer.inliers.size();
  result.transform = transform;
  result.document_region = std::move(region);
  for (const Point& p : result.document_region) result.query_region.push_back((*back)(p));
  const auto share = [](float part, float width, float height) { return std::min(1.0f, part / (width * height)); };
  result.document_coverage = share(area, frame.width, frame.height);
  result.query_coverage = share(AreaOf(result.query_region), query.frame().width, query.frame().height);

  std::vector<Point> hull;
  for (const uint32_t i : answer.inliers) {
    const Pair& pair = solver.pairs()[i];
    hull.push_back(pair.d);
    result.matches.push_back({query.mirrored() ? mirror(pair.q) : pair.q, pair.d, pair.distance});
  }
  result.spread = std::min(1.0f, AreaOf(Hull(std::move(hull))) / area);
  for (const Point& p : query.places()) {
    result.query_places += Contains(result.query_region, query.mirrored() ? mirror(p) : p) ? 1 : 0;
  }
  std::vector<uint32_t> seen;
  for (const LocalFeature& f : document) {
    if (Contains(result.document_region, {f.x, f.y})) seen.push_back(PlaceKey(f.x, f.y));
  }
  std::ranges::sort(seen);
  result.document_places = static_cast<size_t>(std::ranges::unique(seen).begin() - seen.begin());
  return result;
}

}  // namespace likeness
