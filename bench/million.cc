#include "bench/million.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/file.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "bench/data.h"
#include "bench/report.h"
#include "feature/binarizer.h"
#include "index/segment_writer.h"
#include "infer/model_card.h"
#include "infer/paper_models.h"
#include "pipeline/binarizers.h"
#include "pipeline/materialise.h"
#include "pipeline/metadata.h"
#include "pipeline/open_snapshot.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr size_t kShardImages = 200'000;
constexpr size_t kImagesOfCluster = 100;
constexpr size_t kAtOnce = 4096;
// Beside a center of length 1 in the mean: 15 of 100 bits of a code are not the center's.
constexpr float kNoise = 0.51f;
constexpr uint64_t kFileBytes = 100'000;
constexpr uint32_t kWidth = 1024, kHeight = 768;
constexpr const char* kConfig = "[features]\ntypes = [\"deep\"]\n\n[deep]\nmodels = [\"vgg16\"]\ncode_bits = 4096\n";

void Check(const absl::Status& status) {
  if (!status.ok()) BenchFail(MessageOf(status));
}

template <typename T>
T Must(absl::StatusOr<T> value) {
  Check(value.status());
  return *std::move(value);
}

// Normally distributed numbers, drawn once: any stretch of them is a random direction, at the price of reading it.
class Noise {
 public:
  explicit Noise(size_t dimension) : dimension_(dimension), values_((size_t{1} << 20) + dimension) {
    Random random(7);
    for (float& value : values_) value = static_cast<float>(random.Normal());
  }
  const float* Stretch(Random& random) const { return values_.data() + random.Below(values_.size() - dimension_); }

 private:
  size_t dimension_;
  std::vector<float> values_;
};

// Where the made-up vectors lie: about the real ones, and about random points.
struct World {
  FeatureKey key;
  DeepShape shape;
  Binarizer binarizer;  // with a mean of 0, for the vectors have none
  std::vector<std::vector<float>> centers;
  Noise noise;
};

// The vector of an image is a center and noise; its code and bytes are made as those of any other.
DeepCode ValueOf(const World& world, uint64_t seed) {
  Random random(seed);
  const std::vector<float>& center = world.centers[random.Below(world.centers.size())];
  const float* const noise = world.noise.Stretch(random);
  std::vector<float> vector(center.size());
  for (size_t d = 0; d < vector.size(); ++d) vector[d] = center[d] + kNoise * noise[d];
  return world.binarizer.Encode(vector);
}

// Ascending and spread evenly, as MD5s are.
Signature SignatureOf(size_t i, size_t images, Random& random) {
  const uint64_t top = static_cast<uint64_t>((static_cast<unsigned __int128>(i) << 64) / images) + random() % 1'000'000;
  const uint64_t low = random();
  Signature signature;
  for (size_t b = 0; b < 8; ++b) {
    signature.bytes[b] = static_cast<std::byte>(top >> (56 - 8 * b));
    signature.bytes[8 + b] = static_cast<std::byte>(low >> (56 - 8 * b));
  }
  return signature;
}

// Facts of pictures that have no files, as `likeness add FOLDER` records them.
ShardId RecordShard(Catalog& catalog, const std::vector<Signature>& signatures) {
  const Epoch epoch = Epoch::Of(Clock::System().Now());
  std::vector<Addition> additions;
  for (const Signature& signature : signatures) {
    const std::string path = "/nowhere/" + signature.Hex() + ".jpg";
    Addition& addition = additions.emplace_back();
    addition.source = {path, kFileBytes, 1, signature, {}};
    addition.image =
        ImageRecord{signature, "jpeg", kFileBytes, kWidth, kHeight, epoch, std::nullopt, "file:" + path, {}};
    addition.pin = Pin{"file:" + path, signature, "made", "made", {}, {}, {}, {}};
    if (additions.size() < kAtOnce && &signature != &signatures.back()) continue;
    Check(catalog.Record(additions));
    additions.clear();
  }
  const std::vector<ShardRecord> cut = Must(catalog.CutShards(kShardImages));
  if (cut.size() != 1 || cut[0].images != signatures.size()) BenchFail("the made-up pictures are not one shard");
  return cut[0].id;
}

std::vector<std::byte> MakeSegment(const World& world, const std::vector<Signature>& signatures, uint64_t seed) {
  SegmentWriter writer = Must(SegmentWriter::Create({{world.key, world.shape}}));
  std::vector<DeepCode> values;
  for (size_t begin = 0; begin < signatures.size(); begin += kAtOnce) {
    values.resize(std::min(kAtOnce, signatures.size() - begin));
    ParallelFor(values.size(), AvailableThreads(),
                [&](size_t i) { values[i] = ValueOf(world, seed * kShardImages + begin + i); });
    for (size_t i = 0; i < values.size(); ++i) {
      Check(writer.Add({.signature = signatures[begin + i],
                        .width = kWidth,
                        .height = kHeight,
                        .deep = {{world.key, std::move(values[i])}}}));
    }
  }
  return writer.Seal();
}

// Where commands look for a home's models.
void PutModel(const fs::path& folder) {
  fs::create_directories(folder);
  if (fs::exists(folder / "vgg16.json")) return;
  const BuiltModel built = Must(BuildModel("vgg16"));
  Check(WriteFileAtomic(folder / "vgg16.onnx", AsBytes(built.file)));
  Check(WriteModelCard(folder / "vgg16.json", built.card));
}

World MakeWorld(Home& home, const Release& release, size_t images) {
  const Release::Feature& feature = release.features.front();
  const auto snapshot = Must(OpenSnapshot(home, release));
  const Segment& segment = *snapshot->segments()[0];
  const DeepColumn& column = *segment.deep(feature.key);
  const Binarizer trained = Must(ReadBinarizer(home, feature.key, feature.binarizer));
  World world{feature.key,
              column.shape,
              Must(Binarizer::FromFlips(std::vector<float>(column.shape.dimension),
                                        {trained.flips().begin(), trained.flips().end()}, column.shape.code_bits)),
              {},
              Noise(column.shape.dimension)};
  const size_t dimension = column.shape.dimension;
  for (uint32_t i = 0; i < segment.doc_count(); ++i) {
    const auto vector = column.vector(DocId(i));
    const float scale = std::sqrt(static_cast<float>(dimension)) / column.norm(DocId(i));
    std::vector<float>& center = world.centers.emplace_back();
    for (const int8_t value : vector) center.push_back(static_cast<float>(value) * scale);
  }
  Random random(8);
  while (world.centers.size() < images / kImagesOfCluster) {
    const float* const from = world.noise.Stretch(random);
    world.centers.emplace_back(from, from + dimension);
  }
  return world;
}

}  // namespace

void MakeMillion(const fs::path& home_path, const std::vector<std::string>& jpegs, size_t images) {
  const fs::path done = home_path / ("made-1-" + std::to_string(images));
  if (fs::exists(done)) return;
  fs::remove_all(home_path);
  const Stopwatch watch;
  BenchReport::Say("making " + std::to_string(images) + " images, once");
  const auto say = [&](const std::string& what) {
    BenchReport::Say(std::to_string(static_cast<int>(watch.Milliseconds() / 1000)) + " s: " + what);
  };
  const fs::path chosen = home_path / "pictures";
  fs::create_directories(chosen);
  Check(WriteFileAtomic(home_path / "likeness.toml", AsBytes(std::string_view(kConfig))));
  PutModel(home_path / "models");
  for (size_t i = 0; i < jpegs.size(); ++i) {
    Check(WriteFileAtomic(chosen / (std::to_string(i) + ".jpg"), AsBytes(jpegs[i])));
  }
  const IngestedHome real = IngestFolders(home_path, {chosen});
  Home& home = *real.home;
  const std::optional<CurrentRelease> current = Must(ReadCurrent(home.objects()));
  Release release = Must(ReadRelease(home.objects(), current->name));
  const World world = MakeWorld(home, release, images);
  const std::string generation = GenerationOf(release.features);
  say("the real pictures are indexed");
  const size_t shards = (images + kShardImages - 1) / kShardImages;
  for (size_t i = 0; i < shards; ++i) {
    const size_t count = images * (i + 1) / shards - images * i / shards;
    Random random(100 + i);
    std::vector<Signature> signatures;
    for (size_t n = 0; n < count; ++n) signatures.push_back(SignatureOf(n, count, random));
    Release::Shard shard{RecordShard(home.catalog(), signatures), count};
    say("shard " + std::to_string(i + 1) + " of " + std::to_string(shards) + " is in the catalog");
    {
      const auto bytes = MakeSegment(world, signatures, i);
      Check(home.objects().Put(SegmentKey(generation, shard.id), bytes, {}));
      say("its segment has " + std::to_string(bytes.size() >> 20) + " MiB");
    }
    shard.metadata = Must(SealShardMetadata(home, generation, shard.id));
    release.shards.push_back(std::move(shard));
  }
  release.name = "million";
  Check(WriteRelease(home.objects(), release));
  Check(SwitchCurrent(home.objects(), release.name, current));
  Check(WriteFileAtomic(done, {}));
  say("done");
}

}  // namespace likeness
