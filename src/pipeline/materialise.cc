#include "pipeline/materialise.h"

#include <algorithm>
#include <ctime>
#include <map>
#include <mutex>
#include <set>
#include <span>

#include "base/thread_pool.h"
#include "feature/color.h"
#include "feature/hash.h"
#include "index/segment.h"
#include "index/segment_writer.h"
#include "kernel/half.h"
#include "pipeline/binarizers.h"
#include "pipeline/releases.h"
#include "pipeline/shards.h"
#include "store/feature_shard.h"
#include "store/fingerprint_file.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

constexpr size_t kBlock = 1024;  // images that are encoded between two writes

// A feature of one shard, open for reading, with what encodes it.
struct OpenFeature {
  FeatureKey key;
  FeatureShard shard;
  const Binarizer* binarizer;  // null for a feature that is kept as it is
};

// The sealed shards of all features, or nothing while one is missing.
absl::StatusOr<std::optional<std::vector<OpenFeature>>> OpenShard(Home& home, const ShardId& shard,
                                                                  const std::vector<Release::Feature>& features,
                                                                  const std::map<FeatureKey, Binarizer>& binarizers) {
  std::vector<OpenFeature> open;
  for (const Release::Feature& feature : features) {
    absl::StatusOr<Blob> blob = home.objects().Get(FeatureShardKey(feature.key, shard));
    if (absl::IsNotFound(blob.status())) return std::nullopt;
    LIKENESS_RETURN_IF_ERROR(blob.status());
    LIKENESS_ASSIGN_OR_RETURN(FeatureShard opened, FeatureShard::Open(*std::move(blob)));
    LIKENESS_RETURN_IF_ERROR(opened.VerifyChecksum());
    if (opened.info().feature != feature.key || opened.info().shard != shard) {
      return absl::DataLossError(FeatureShardKey(feature.key, shard) + " is the shard of something else");
    }
    const auto binarizer = binarizers.find(feature.key);
    open.push_back({feature.key, std::move(opened), binarizer == binarizers.end() ? nullptr : &binarizer->second});
  }
  return open;
}

// Makes `fingerprint` that of one image; reuses the memory of what it was before.
void Join(std::span<const OpenFeature> features, size_t position, Fingerprint& fingerprint) {
  fingerprint.signature = features.front().shard.signatures()[position];
  fingerprint.width = fingerprint.height = 0;
  size_t plain = 0, deep = 0;
  for (const OpenFeature& feature : features) {
    if (!feature.shard.has_value(position)) continue;
    const ImageSize size = feature.shard.image_size(position);
    fingerprint.width = static_cast<uint32_t>(size.width);
    fingerprint.height = static_cast<uint32_t>(size.height);
    if (feature.binarizer == nullptr) {
      if (plain == fingerprint.plain.size()) fingerprint.plain.emplace_back();
      Fingerprint::Plain& one = fingerprint.plain[plain++];
      one.key = feature.key;
      one.value = AsText(feature.shard.value(position));
      continue;
    }
    std::vector<float> vector(feature.shard.info().layout.dimension);
    HalfToFloat(feature.shard.halves(position), vector);
    if (deep == fingerprint.deep.size()) fingerprint.deep.emplace_back();
    Fingerprint::Deep& one = fingerprint.deep[deep++];
    one.key = feature.key;
    one.value = feature.binarizer->Encode(vector);
  }
  fingerprint.plain.resize(plain);
  fingerprint.deep.resize(deep);
}

// Writes one shard's fingerprints and puts them; returns how many there are.
absl::StatusOr<uint64_t> WriteFingerprints(Home& home, const ShardId& shard, const std::string& generation,
                                           std::span<const OpenFeature> features, size_t threads) {
  const size_t images = features.front().shard.size();
  for (const OpenFeature& feature : features) {
    if (!std::ranges::equal(feature.shard.signatures(), features.front().shard.signatures())) {
      return absl::DataLossError("the features of shard " + shard.ToString() + " are not of the same images");
    }
  }
  LIKENESS_ASSIGN_OR_RETURN(const std::filesystem::path scratch, home.ScratchFile("fingerprints.sst"));
  LIKENESS_ASSIGN_OR_RETURN(const auto writer, FingerprintWriter::Create(scratch, shard));
  uint64_t written = 0;
  std::vector<Fingerprint> block;
  for (size_t begin = 0; begin < images; begin += kBlock) {
    block.resize(std::min(kBlock, images - begin));
    ParallelFor(block.size(), threads, [&](size_t i) { Join(features, begin + i, block[i]); });
    for (const Fingerprint& fingerprint : block) {
      if (fingerprint.deep.empty() && fingerprint.plain.empty()) continue;
      LIKENESS_RETURN_IF_ERROR(writer->Add(fingerprint));
      ++written;
    }
  }
  if (written == 0) return 0;
  LIKENESS_RETURN_IF_ERROR(writer->Seal());
  const absl::Status put =
      home.objects().PutFile(FingerprintKey(generation, shard), scratch, {.if_absent = true, .take_file = true});
  if (!put.ok() && !absl::IsAlreadyExists(put)) return put;
  return written;
}

// How the segment keeps a plain feature; nothing for one that only the fingerprints keep.
std::optional<PlainShape> PlainShapeOf(const FeatureKey& key) {
  if (key != ColorFeatureKey() && key != HashFeatureKey()) return std::nullopt;
  const FeatureLayout layout =
      key == ColorFeatureKey() ? MakeColorExtractor()->layout() : MakeHashExtractor()->layout();
  return PlainShape{static_cast<uint32_t>(layout.dimension * DtypeSize(layout.dtype)), layout.ragged};
}

// Builds and puts the segment of one shard; returns its images.
absl::StatusOr<uint64_t> BuildSegment(Home& home, const ShardId& shard, const std::string& generation,
                                      const std::vector<SegmentWriter::Deep>& shapes,
                                      const std::vector<SegmentWriter::Plain>& plain) {
  LIKENESS_ASSIGN_OR_RETURN(const auto path, home.objects().LocalFile(FingerprintKey(generation, shard)));
  LIKENESS_ASSIGN_OR_RETURN(const auto file, FingerprintFile::Open(path));
  LIKENESS_ASSIGN_OR_RETURN(SegmentWriter writer, SegmentWriter::Create(shapes, plain));
  LIKENESS_RETURN_IF_ERROR(file->ForEach([&](Fingerprint fingerprint) { return writer.Add(fingerprint); }));
  const uint64_t images = writer.doc_count();
  const std::vector<std::byte> bytes = writer.Seal();
  const absl::Status put = home.objects().Put(SegmentKey(generation, shard), bytes, {.if_absent = true});
  if (!put.ok() && !absl::IsAlreadyExists(put)) return put;
  return images;
}

absl::StatusOr<uint64_t> SegmentImages(Home& home, const ShardId& shard, const std::string& generation) {
  LIKENESS_ASSIGN_OR_RETURN(const Blob blob, home.objects().Get(SegmentKey(generation, shard)));
  LIKENESS_ASSIGN_OR_RETURN(const auto segment, Segment::Open(blob.bytes()));
  return segment->doc_count();
}

std::string IsoTime(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts;
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

// A name that says what is in the release: equal content, equal name.
std::string ReleaseName(const std::string& generation, const std::vector<Release::Shard>& shards) {
  std::string content = generation;
  for (const Release::Shard& shard : shards) content += "\n" + shard.id.ToString() + " " + std::to_string(shard.images);
  return "r" + Sha256Hex(AsBytes(content)).substr(0, 12);
}

// Records the release, unless it is known; whether it is new.
absl::StatusOr<bool> RecordRelease(Home& home, Release& release) {
  absl::StatusOr<Release> known = ReadRelease(home.objects(), release.name);
  if (known.ok()) {
    release = *std::move(known);
    return false;
  }
  if (!absl::IsNotFound(known.status())) return known.status();
  const absl::Status written = WriteRelease(home.objects(), release);
  if (absl::IsAlreadyExists(written)) {  // Somebody who builds the same was quicker, and by his clock it is earlier.
    LIKENESS_ASSIGN_OR_RETURN(release, ReadRelease(home.objects(), release.name));
    return false;
  }
  LIKENESS_RETURN_IF_ERROR(written);
  return true;
}

}  // namespace

std::vector<SegmentWriter::Plain> PlainColumnsOf(const std::vector<Release::Feature>& features) {
  std::vector<SegmentWriter::Plain> plain;
  for (const Release::Feature& feature : features) {
    const auto shape = feature.binarizer.empty() ? PlainShapeOf(feature.key) : std::nullopt;
    if (shape) plain.push_back({feature.key, *shape});
  }
  return plain;
}

std::string GenerationOf(const std::vector<Release::Feature>& features) {
  std::string content;
  for (const Release::Feature& feature : features) {
    // What is kept as it is has columns in the segment: "plain" tells its files from those made before it did.
    content += feature.key.ToString() + " " + (feature.binarizer.empty() ? "plain" : feature.binarizer) + "\n";
  }
  return "g" + Sha256Hex(AsBytes(content)).substr(0, 12);
}

absl::StatusOr<std::vector<Release::Feature>> BuildFeatures(Home& home, const std::vector<FeatureKey>& keys) {
  std::vector<Release::Feature> features;
  for (const FeatureKey& key : keys) {
    std::string binarizer;
    if (key.type.starts_with("deep.")) {
      LIKENESS_ASSIGN_OR_RETURN(const StoredBinarizer stored, EnsureBinarizer(home, key));
      binarizer = stored.digest;
    }
    features.push_back({key, std::move(binarizer)});
  }
  std::ranges::sort(features, {}, &Release::Feature::key);
  return features;
}

absl::StatusOr<MaterialiseReport> MaterialiseFingerprints(Home& home, const std::vector<Release::Feature>& features,
                                                          const RunControl& control) {
  std::map<FeatureKey, Binarizer> binarizers;
  for (const Release::Feature& feature : features) {
    if (feature.binarizer.empty()) continue;
    LIKENESS_ASSIGN_OR_RETURN(Binarizer binarizer, ReadBinarizer(home, feature.key, feature.binarizer));
    binarizers.emplace(feature.key, std::move(binarizer));
  }
  const std::string generation = GenerationOf(features);
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ShardRecord> shards, home.catalog().Shards());
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects,
                            ListAll(home.objects(), "fingerprints/" + generation + "/"));
  std::set<std::string> there;
  for (const ObjectInfo& object : objects) there.insert(object.key);
  std::vector<ShardId> todo;
  for (const ShardRecord& shard : shards) {
    if (!there.contains(FingerprintKey(generation, shard.id))) todo.push_back(shard.id);
  }
  // Many shards: each on a thread of its own, and two for a processor, because half of them wait for the disk to have
  // what they have written. Few: their images are divided.
  const size_t threads = std::max<size_t>(1, home.config().threads);
  const size_t outer = std::clamp<size_t>(todo.size(), 1, threads > 1 ? 2 * threads : 1);
  const size_t inner = std::max<size_t>(1, threads / outer);
  MaterialiseReport report;
  std::mutex mutex;
  absl::Status failure;  // guarded by mutex, as are the report and the progress
  size_t begun = 0;
  ParallelFor(todo.size(), outer, [&](size_t i) {
    {
      const std::lock_guard lock(mutex);
      if (control.stopped() || !failure.ok()) return;
      control.progress("materialise", begun++, todo.size());
    }
    absl::StatusOr<uint64_t> images = 0;
    if (const auto open = OpenShard(home, todo[i], features, binarizers); !open.ok()) {
      images = open.status();
    } else if (*open) {
      images = WriteFingerprints(home, todo[i], generation, **open, inner);
    }
    const std::lock_guard lock(mutex);
    if (!images.ok()) {
      if (failure.ok()) failure = images.status();
      return;
    }
    report.shards += *images > 0 ? 1 : 0;
    report.images += *images;
  });
  LIKENESS_RETURN_IF_ERROR(failure);
  control.progress("materialise", shards.size(), shards.size());
  return report;
}

absl::StatusOr<std::optional<IndexReport>> CreateRelease(Home& home, const std::vector<Release::Feature>& features,
                                                         const RunControl& control, const Clock& clock) {
  const std::string generation = GenerationOf(features);
  std::vector<SegmentWriter::Deep> shapes;
  const std::vector<SegmentWriter::Plain> plain = PlainColumnsOf(features);
  for (const Release::Feature& feature : features) {
    if (feature.binarizer.empty()) continue;
    LIKENESS_ASSIGN_OR_RETURN(const Binarizer binarizer, ReadBinarizer(home, feature.key, feature.binarizer));
    shapes.push_back(
        {feature.key, {static_cast<uint32_t>(binarizer.bits()), static_cast<uint32_t>(binarizer.dimension())}});
  }
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ShardRecord> shards, home.catalog().Shards());
  IndexReport report;
  report.release.created = IsoTime(clock.Now());
  report.release.features = features;
  for (size_t i = 0; i < shards.size(); ++i) {
    if (control.stopped()) return std::nullopt;
    control.progress("index", i, shards.size());
    const ShardId& shard = shards[i].id;
    LIKENESS_ASSIGN_OR_RETURN(const auto fingerprints, home.objects().Head(FingerprintKey(generation, shard)));
    if (!fingerprints) continue;
    LIKENESS_ASSIGN_OR_RETURN(const auto built, home.objects().Head(SegmentKey(generation, shard)));
    uint64_t images = 0;
    if (built) {
      LIKENESS_ASSIGN_OR_RETURN(images, SegmentImages(home, shard, generation));
    } else {
      LIKENESS_ASSIGN_OR_RETURN(images, BuildSegment(home, shard, generation, shapes, plain));
      ++report.built.shards;
      report.built.images += images;
    }
    report.release.shards.push_back({shard, images});
  }
  control.progress("index", shards.size(), shards.size());
  if (report.release.shards.empty()) {
    return absl::FailedPreconditionError("there is nothing to index: run `likeness fingerprint` first");
  }
  std::ranges::sort(report.release.shards, {}, &Release::Shard::id);
  report.release.name = ReleaseName(generation, report.release.shards);
  LIKENESS_ASSIGN_OR_RETURN(report.created, RecordRelease(home, report.release));
  return report;
}

absl::StatusOr<std::optional<IndexReport>> BuildIndex(Home& home, const std::vector<Release::Feature>& features,
                                                      const RunControl& control, const Clock& clock) {
  LIKENESS_ASSIGN_OR_RETURN(std::optional<IndexReport> report, CreateRelease(home, features, control, clock));
  if (!report) return report;
  LIKENESS_ASSIGN_OR_RETURN(report->switched, SwitchRelease(home, report->release.name));
  return report;
}

}  // namespace likeness
