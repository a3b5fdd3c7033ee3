// The perceptual hash from JPEG bytes of 1024 x 768, one core, beside its definition in double precision.
//
// The definition works on the pixels of the full size. On ccp/, whose photographs the standard size leaves as they are,
// the mean difference has a bar; on the enlarged ones, which are reduced, it is reported.
//
// Times are of the thread's own processor time, medians over rounds.
#include "feature/hash.h"

#include "base/bytes.h"
#include "bench/pictures.h"
#include "bench/report.h"
#include "image/decode.h"
#include "support/pdq_definition.h"

namespace likeness {
namespace {

struct Difference {
  double bits = 0, quality = 0;  // means
  bool right = true;             // whether all had a hash, or neither way had one
};

Difference DifferenceOn(const std::vector<std::string>& files) {
  Difference sum;
  for (const std::string& file : files) {
    const auto full = DecodeImage(AsBytes(file)), standard = DecodeImage(AsBytes(file), {}, kStandardSize);
    if (!full.ok() || !standard.ok()) BenchFail("a picture cannot be read");
    const PdqTwin twin = PdqByDefinition(*full);
    const auto transform = PdqTransform::Of(*standard);
    if (!transform.ok()) {
      sum.right = sum.right && twin.quality == 0;
      continue;
    }
    sum.bits += BitsApart(transform->Hash(), twin) / static_cast<double>(files.size());
    sum.quality += std::abs(transform->quality() - twin.quality) / static_cast<double>(files.size());
  }
  return sum;
}

int Run() {
  constexpr int kRounds = 9;
  BenchReport report("hash");
  const std::vector<std::string> jpegs = MakeBenchJpegs();
  const double count = static_cast<double>(jpegs.size());
  std::vector<double> all, decode, hash, forms;
  uint64_t bits = 0;
  for (int round = 0; round < kRounds; ++round) {
    double decoding = 0, hashing = 0, turning = 0;
    for (const std::string& jpeg : jpegs) {
      const double start = ThreadSeconds();
      const auto pixels = DecodeImage(AsBytes(jpeg), {}, kStandardSize);
      const double decoded = ThreadSeconds();
      const auto transform = PdqTransform::Of(*pixels);
      if (!transform.ok()) BenchFail(MessageOf(transform.status()));
      bits ^= transform->Hash().words[0];
      const double hashed = ThreadSeconds();
      for (const PdqHash& form : transform->AllForms()) bits ^= form.words[1];
      turning += ThreadSeconds() - hashed;
      decoding += decoded - start;
      hashing += hashed - decoded;
    }
    all.push_back(count / (decoding + hashing));
    decode.push_back(count / decoding);
    hash.push_back(count / hashing);
    forms.push_back(count / turning);
  }
  const Difference photographs = DifferenceOn(ReadBenchFiles("ccp/photos", 200)), enlarged = DifferenceOn(jpegs);
  const bool right = photographs.right && enlarged.right && bits != 0;
  report.Add({.name = "from_jpeg", .value = Median(all), .unit = "images/s", .bar = 350, .right = right});
  report.Add({.name = "decode_alone", .value = Median(decode), .unit = "images/s"});
  report.Add({.name = "hash_alone", .value = Median(hash), .unit = "images/s"});
  report.Add({.name = "eight_forms_alone", .value = Median(forms), .unit = "images/s"});
  report.Add({.name = "difference_on_ccp",
              .value = photographs.bits,
              .unit = "bits of 256, mean",
              .bar = 4,
              .better = BenchResult::Better::kLower,
              .right = right});
  report.Add({.name = "difference_when_reduced",
              .value = enlarged.bits,
              .unit = "bits of 256, mean",
              .bar = 4,
              .better = BenchResult::Better::kLower,
              .right = right});
  report.Add({.name = "quality_difference_when_reduced", .value = enlarged.quality, .unit = "of 100, mean"});
  return report.Finish();
}

}  // namespace
}  // namespace likeness

int main() { return likeness::Run(); }
