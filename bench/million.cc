#include "bench/million.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/file.h"
#include "base/random.h"
#include "bench/data.h"
#include "bench/report.h"
#include "index/segment_writer.h"
#include "infer/model_card.h"
#include "infer/paper_models.h"
#include "pipeline/materialise.h"
#include "pipeline/open_snapshot.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr size_t kShardImages = 200'000;
constexpr size_t kImagesOfCluster = 100;
constexpr const char* kConfig = "[features]\ntypes = [\"deep\"]\n\n[deep]\nmodels = [\"vgg16\"]\ncode_bits = 4096\n";

void Check(const absl::Status& status) {
  if (!status.ok()) BenchFail(MessageOf(status));
}

template <typename T>
T Must(absl::StatusOr<T> value) {
  Check(value.status());
  return *std::move(value);
}

// Ones with a probability of 5/32, 64 bits at once.
uint64_t Flips(Random& random) {
  const uint64_t a = random(), b = random(), c = random(), d = random(), e = random();
  return (a & b & c) | (~(a & b) & a & ~c & d & e);
}

// A signed value for each bit, 32 to 95.
void VectorOf(const std::vector<uint64_t>& code, Random& random, DeepCode& value) {
  int64_t squares = 0;
  for (size_t word = 0; word < code.size(); ++word) {
    for (size_t i = 0; i < 64; i += 8) {
      const uint64_t sizes = random();
      for (size_t j = 0; j < 8; ++j) {
        const int size = 32 + static_cast<int>(sizes >> (8 * j) & 63);
        const int sign = (code[word] >> (i + j) & 1) != 0 ? 1 : -1;
        value.vector[64 * word + i + j] = static_cast<int8_t>(sign * size);
        squares += size * size;
      }
    }
  }
  value.norm = static_cast<float>(std::sqrt(static_cast<double>(squares)));
}

std::vector<std::byte> MakeSegment(const FeatureKey& key, const DeepShape& shape, size_t images, uint64_t seed,
                                   const std::vector<uint64_t>& centers) {
  SegmentWriter writer = Must(SegmentWriter::Create({{key, shape}}));
  Random random(seed);
  const size_t words = shape.words();
  Fingerprint fingerprint{.width = 640, .height = 480, .deep = {{key, {}}}};
  DeepCode& value = fingerprint.deep[0].value;
  value.code.resize(words);
  value.vector.resize(shape.dimension);
  for (size_t i = 0; i < images; ++i) {
    // Signatures ascend: the top says how far the way has come.
    const uint64_t top = (static_cast<uint64_t>(i) << 32) / images << 32 | random() >> 32;
    for (size_t b = 0; b < 8; ++b) fingerprint.signature.bytes[b] = static_cast<std::byte>(top >> (56 - 8 * b));
    for (size_t b = 0; b < 8; ++b) fingerprint.signature.bytes[8 + b] = static_cast<std::byte>(random() >> 56);
    const uint64_t* const center = centers.data() + random.Below(centers.size() / words) * words;
    for (size_t w = 0; w < words; ++w) value.code[w] = center[w] ^ Flips(random);
    VectorOf(value.code, random, value);
    Check(writer.Add(fingerprint));
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

}  // namespace

void MakeMillion(const fs::path& home_path, const std::vector<fs::path>& pictures, size_t images) {
  const fs::path done = home_path / ("made-" + std::to_string(images));
  if (fs::exists(done)) return;
  fs::remove_all(home_path);
  BenchReport::Say("making " + std::to_string(images) + " images");
  const fs::path chosen = home_path / "pictures";
  fs::create_directories(chosen);
  Check(WriteFileAtomic(home_path / "likeness.toml", AsBytes(std::string_view(kConfig))));
  PutModel(home_path / "models");
  for (const fs::path& picture : pictures) fs::copy_file(picture, chosen / picture.filename());
  const IngestedHome real = IngestFolders(home_path, {chosen});
  ObjectStore& objects = real.home->objects();
  const std::optional<CurrentRelease> current = Must(ReadCurrent(objects));
  Release release = Must(ReadRelease(objects, current->name));
  const auto snapshot = Must(OpenSnapshot(*real.home, release));
  const FeatureKey key = release.features.front().key;
  const DeepShape shape = snapshot->segments()[0]->deep(key)->shape;
  if (shape.code_bits != shape.dimension) BenchFail("the codes of the million have one bit a component");
  Random random(7);
  std::vector<uint64_t> centers(std::max<size_t>(images / kImagesOfCluster, 1) * shape.words());
  for (uint64_t& word : centers) word = random();
  const size_t shards = (images + kShardImages - 1) / kShardImages;
  const std::string generation = GenerationOf(release.features);
  ShardId shard = release.shards.back().id;
  for (size_t i = 0; i < shards; ++i) {
    ++shard.shard;
    const size_t count = images * (i + 1) / shards - images * i / shards;
    const auto bytes = MakeSegment(key, shape, count, 100 + i, centers);
    Check(objects.Put(SegmentKey(generation, shard), bytes, {}));
    release.shards.push_back({shard, count});
    BenchReport::Say("segment " + std::to_string(i + 1) + " of " + std::to_string(shards) + " has " +
                     std::to_string(bytes.size() >> 20) + " MiB");
  }
  release.name = "million";
  Check(WriteRelease(objects, release));
  Check(SwitchCurrent(objects, release.name, current));
  Check(WriteFileAtomic(done, {}));
}

}  // namespace likeness
