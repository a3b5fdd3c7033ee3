// Salient color from decoded pixels, one core, ranking by it, and how well pictures of one color find each other.
//
// Speed is that of the feature after the decode of 1024 x 768 to the standard size. Ranking is timed over a hundred
// thousand signatures, those of the pictures with random shifts, against comparing with each. Quality is that of
// `likeness eval color` on the products of the evaluation data.
#include "feature/color.h"

#include <algorithm>
#include <cstdlib>

#include "base/bytes.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "bench/pictures.h"
#include "bench/report.h"
#include "eval/color.h"
#include "feature/color_distance.h"
#include "image/decode.h"

namespace likeness {
namespace {

constexpr size_t kSignatures = 100'000;

std::vector<ColorSignature> Shifted(const std::vector<ColorSignature>& from, size_t count) {
  Random random(1);
  std::vector<ColorSignature> all;
  for (size_t i = 0; i < count; ++i) {
    ColorSignature signature = from[random.Below(from.size())];
    for (SalientColor& color : signature) {
      const auto shift = [&] { return static_cast<float>(random.Normal() * 12); };
      color.lab = {color.lab.l + shift(), color.lab.a + shift(), color.lab.b + shift()};
    }
    all.push_back(std::move(signature));
  }
  return all;
}

int Run() {
  constexpr int kRounds = 9;
  BenchReport report("color");
  std::vector<Pixels> pictures;
  for (const std::string& jpeg : MakeBenchJpegs()) {
    auto pixels = DecodeImage(AsBytes(jpeg), {}, kStandardSize);
    if (!pixels.ok()) BenchFail(MessageOf(pixels.status()));
    pictures.push_back(*std::move(pixels));
  }
  const auto extractor = MakeColorExtractor();
  std::vector<ColorSignature> signatures;
  std::vector<double> rates;
  bool right = true;
  for (int round = 0; round < kRounds; ++round) {
    const double start = ThreadSeconds();
    for (const Pixels& pixels : pictures) {
      const auto values = extractor->Extract({&pixels, 1});
      const auto signature = values.ok() && values->front().ok() ? ParseColorValue(*values->front()) : std::nullopt;
      right = right && signature.has_value();
      if (signature && round == 0) signatures.push_back(*signature);
    }
    rates.push_back(static_cast<double>(pictures.size()) / (ThreadSeconds() - start));
  }
  report.Add({.name = "after_decode", .value = Median(rates), .unit = "images/s", .bar = 300, .right = right});

  const std::vector<ColorSignature> all = Shifted(signatures, kSignatures);
  ColorIndex index;
  for (const ColorSignature& signature : all) index.Add(signature);
  std::vector<double> ranked, compared;
  bool same = true;
  for (int round = 0; round < kRounds; ++round) {
    const ColorSignature& query = signatures[static_cast<size_t>(round) * 5 % signatures.size()];
    double start = ThreadSeconds();
    const auto hits = index.Nearest(query, 24);
    ranked.push_back(static_cast<double>(kSignatures) / (ThreadSeconds() - start) / 1000);
    start = ThreadSeconds();
    std::vector<std::pair<float, uint32_t>> truth;
    for (uint32_t row = 0; row < kSignatures; ++row) truth.emplace_back(ColorDistance(query, all[row]), row);
    compared.push_back(static_cast<double>(kSignatures) / (ThreadSeconds() - start) / 1000);
    std::ranges::partial_sort(truth, truth.begin() + 24);
    for (size_t i = 0; i < hits.size(); ++i) same = same && hits[i].row == truth[i].second;
  }
  report.Add({.name = "ranked", .value = Median(ranked), .unit = "signatures/ms", .bar = 2000, .right = same});
  report.Add({.name = "compared_one_by_one", .value = Median(compared), .unit = "signatures/ms"});

  ColorEvalOptions options;
  options.labels = BenchDataFolder() / "products" / "products.jsonl";
  options.field = "colour";
  options.boxes = BenchDataFolder() / "ccp" / "boxes.jsonl";
  options.threads = AvailableThreads();
  options.bar = 1.10;
  const auto judged = EvaluateColor(options);
  if (!judged.ok()) BenchFail(MessageOf(judged.status()));
  for (const BarResult& result : judged->results) {
    report.Add({.name = result.name, .value = result.value, .unit = result.unit, .bar = result.bar});
  }
  return report.Finish();
}

}  // namespace
}  // namespace likeness

int main() { return likeness::Run(); }
