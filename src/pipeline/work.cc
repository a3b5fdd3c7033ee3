#include "pipeline/work.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/thread_pool.h"
#include "image/decode.h"
#include "kernel/half.h"
#include "pipeline/shards.h"
#include "store/feature_shard.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

// One feature of the shard: what parts there are and which images are still to be computed.
struct CellWork {
  std::shared_ptr<const DeepExtractor> extractor;
  std::vector<bool> missing;  // by position in the epoch list
  uint32_t next_part = 0;
};

FeatureShardInfo InfoOf(const CellWork& cell, const ShardId& shard) {
  FeatureShardInfo info;
  info.feature = cell.extractor->key();
  info.shard = shard;
  info.layout.dtype = Dtype::kF16;
  info.layout.dimension = static_cast<uint32_t>(cell.extractor->dimension());
  return info;
}

absl::StatusOr<std::vector<FeatureShard>> OpenParts(Home& home, const FeatureKey& feature, const ShardId& shard,
                                                    uint32_t& next_part) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects,
                            ListAll(home.objects(), FeaturePartPrefix(feature, shard)));
  std::vector<FeatureShard> parts;
  for (const ObjectInfo& object : objects) {
    const std::optional<ObjectKey> key = ObjectKey::Parse(object.key);
    if (!key || key->kind != ObjectKey::Kind::kFeaturePart) continue;
    next_part = std::max(next_part, key->part + 1);
    absl::StatusOr<Blob> blob = home.objects().Get(object.key);
    if (absl::IsNotFound(blob.status())) continue;  // Another process has joined the cell meanwhile.
    LIKENESS_RETURN_IF_ERROR(blob.status());
    absl::StatusOr<FeatureShard> part = FeatureShard::Open(*std::move(blob));
    if (part.ok()) {
      if (const absl::Status sum = part->VerifyChecksum(); !sum.ok()) part = sum;
    }
    if (part.ok() && (part->info().feature != feature || part->info().shard != shard)) {
      part = absl::DataLossError(object.key + " is a part of something else");
    }
    if (part.ok()) {
      parts.push_back(*std::move(part));
    } else if (BlameOf(part.status()) == Blame::kData) {
      LIKENESS_RETURN_IF_ERROR(home.objects().Delete(object.key));  // Damaged: what it held is computed again.
    } else {
      return part.status();
    }
  }
  return parts;
}

// A batch of pictures on one thread: decode once, prepare for every feature, run every model.
class BatchWorker {
 public:
  BatchWorker(Home& home, std::span<const ImageRecord> images, std::span<const CellWork> cells,
              std::vector<FeatureShardWriter>& writers, std::mutex& mutex, WorkReport& report)
      : home_(home), images_(images), cells_(cells), writers_(writers), mutex_(mutex), report_(report) {
    for (const CellWork& cell : cells_) size_ = std::max(size_, cell.extractor->decode_size());
  }

  // `batch`: positions in the images.
  absl::Status Run(std::span<const size_t> batch) {
    std::vector<std::vector<float>> tensors(cells_.size());
    std::vector<std::vector<std::pair<size_t, ImageSize>>> prepared(cells_.size());
    for (const size_t position : batch) {
      const ImageRecord& image = images_[position];
      absl::StatusOr<Pixels> pixels = Decode(image);
      if (!pixels.ok()) {
        if (BlameOf(pixels.status()) == Blame::kWorld) return Annotate(pixels.status(), image.location);
        LIKENESS_RETURN_IF_ERROR(Refuse(position, MessageOf(pixels.status())));
        continue;
      }
      const ImageSize size{static_cast<int32_t>(pixels->full_width), static_cast<int32_t>(pixels->full_height)};
      for (size_t c = 0; c < cells_.size(); ++c) {
        if (!cells_[c].missing[position]) continue;
        const size_t floats = cells_[c].extractor->tensor_size();
        tensors[c].resize(tensors[c].size() + floats);
        cells_[c].extractor->Prepare(*pixels, std::nullopt, std::span(tensors[c]).last(floats));
        prepared[c].emplace_back(position, size);
      }
    }
    for (size_t c = 0; c < cells_.size(); ++c) LIKENESS_RETURN_IF_ERROR(Extract(c, tensors[c], prepared[c]));
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<Pixels> Decode(const ImageRecord& image) {
    if (!image.reason.empty()) return absl::DataLossError(image.reason);
    LIKENESS_ASSIGN_OR_RETURN(const std::string bytes, home_.ReadImage(image));
    absl::StatusOr<Pixels> pixels = DecodeImage(AsBytes(bytes), home_.config().image, size_);
    const std::lock_guard lock(mutex_);
    ++report_.decoded;
    return pixels;
  }

  absl::Status Refuse(size_t position, const std::string& reason) {
    const std::lock_guard lock(mutex_);
    for (size_t c = 0; c < cells_.size(); ++c) {
      if (!cells_[c].missing[position]) continue;
      LIKENESS_RETURN_IF_ERROR(writers_[c].AddFailure(images_[position].signature, reason));
    }
    if (!images_[position].reason.empty()) return absl::OkStatus();
    ++report_.quarantined;
    return home_.catalog().QuarantineImage(images_[position].signature, reason);
  }

  absl::Status Extract(size_t c, std::span<const float> tensors,
                       std::span<const std::pair<size_t, ImageSize>> prepared) {
    if (prepared.empty()) return absl::OkStatus();
    const size_t dimension = cells_[c].extractor->dimension();
    std::vector<float> vectors(prepared.size() * dimension);
    LIKENESS_RETURN_IF_ERROR(cells_[c].extractor->Extract(tensors, prepared.size(), vectors));
    std::vector<uint16_t> halves(vectors.size());
    FloatToHalf(vectors, halves);
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < prepared.size(); ++i) {
      const auto& [position, size] = prepared[i];
      LIKENESS_RETURN_IF_ERROR(writers_[c].Add(images_[position].signature, size,
                                               std::span<const uint16_t>(halves).subspan(i * dimension, dimension)));
      ++report_.computed;
    }
    return absl::OkStatus();
  }

  Home& home_;
  const std::span<const ImageRecord> images_;
  const std::span<const CellWork> cells_;
  std::vector<FeatureShardWriter>& writers_;  // guarded by mutex_
  std::mutex& mutex_;
  WorkReport& report_;  // guarded by mutex_
  DecodeSize size_;
};

// Puts one chunk's parts. What was computed before a fault or a stop is put too: it need not be computed again.
absl::Status PutParts(Home& home, const ShardId& shard, std::vector<FeatureShardWriter>& writers,
                      std::span<CellWork> cells) {
  for (size_t c = 0; c < cells.size(); ++c) {
    if (writers[c].size() == 0) continue;
    LIKENESS_ASSIGN_OR_RETURN(const std::string part, writers[c].Seal());
    while (true) {
      const std::string key = FeaturePartKey(cells[c].extractor->key(), shard, cells[c].next_part++);
      const absl::Status put = home.objects().Put(key, AsBytes(part), {.if_absent = true});
      if (put.ok()) break;
      if (!absl::IsAlreadyExists(put)) return put;  // Otherwise another worker's part: take the next number.
    }
  }
  return absl::OkStatus();
}

absl::Status WorkChunk(Home& home, const ShardId& shard, std::span<const ImageRecord> images, std::span<CellWork> cells,
                       std::span<const size_t> chunk, const RunControl& control, WorkReport& report) {
  std::vector<FeatureShardWriter> writers;
  size_t batch = 1;
  for (const CellWork& cell : cells) {
    writers.emplace_back(InfoOf(cell, shard));
    batch = std::max(batch, cell.extractor->batch());
  }
  std::mutex mutex;
  absl::Status failure;
  BatchWorker worker(home, images, cells, writers, mutex, report);
  const size_t batches = (chunk.size() + batch - 1) / batch;
  ParallelFor(batches, home.config().threads, [&](size_t i) {
    if (control.stopped()) return;
    {
      const std::lock_guard lock(mutex);
      if (!failure.ok()) return;
    }
    const absl::Status status = worker.Run(chunk.subspan(i * batch, std::min(batch, chunk.size() - i * batch)));
    const std::lock_guard lock(mutex);
    if (failure.ok()) failure = status;
  });
  LIKENESS_RETURN_IF_ERROR(PutParts(home, shard, writers, cells));
  return failure;
}

// Joins the parts of one cell if they hold every image of the shard, and takes the parts away.
absl::Status JoinCell(Home& home, const ShardId& shard, const FeatureKey& feature, size_t images) {
  uint32_t next_part = 0;
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<FeatureShard> parts, OpenParts(home, feature, shard, next_part));
  if (parts.empty()) return absl::OkStatus();
  LIKENESS_ASSIGN_OR_RETURN(const std::filesystem::path scratch, home.ScratchFile(feature.type + ".shard"));
  LIKENESS_RETURN_IF_ERROR(MergeFeatureShardsToFile(parts, scratch));
  LIKENESS_ASSIGN_OR_RETURN(const auto mapped, MappedFile::Open(scratch));
  LIKENESS_ASSIGN_OR_RETURN(const FeatureShard joined, FeatureShard::Open(Blob(mapped, mapped->bytes())));
  if (joined.size() != images) {  // Not all there yet: a stopped run, or another worker's part.
    std::error_code error;
    std::filesystem::remove(scratch, error);
    return absl::OkStatus();
  }
  const absl::Status put =
      home.objects().PutFile(FeatureShardKey(feature, shard), scratch, {.if_absent = true, .take_file = true});
  if (!put.ok() && !absl::IsAlreadyExists(put)) return put;
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects,
                            ListAll(home.objects(), FeaturePartPrefix(feature, shard)));
  for (const ObjectInfo& object : objects) LIKENESS_RETURN_IF_ERROR(home.objects().Delete(object.key));
  return absl::OkStatus();
}

}  // namespace

absl::Status WorkShard(Home& home, const ShardId& shard, const Extractors& extractors, const RunControl& control,
                       uint64_t done_before, uint64_t total, WorkReport& report) {
  LIKENESS_ASSIGN_OR_RETURN(const EpochList list, ReadEpochList(home, shard));
  const std::span<const Signature> signatures = list.signatures();
  std::vector<CellWork> cells;
  for (const auto& extractor : extractors) {
    LIKENESS_ASSIGN_OR_RETURN(const auto sealed, home.objects().Head(FeatureShardKey(extractor->key(), shard)));
    if (sealed) continue;
    CellWork cell{extractor, std::vector<bool>(signatures.size(), true), 0};
    LIKENESS_ASSIGN_OR_RETURN(const auto parts, OpenParts(home, extractor->key(), shard, cell.next_part));
    for (const FeatureShard& part : parts) {
      for (const Signature& signature : part.signatures()) {
        const auto at = std::ranges::lower_bound(signatures, signature);
        if (at != signatures.end() && *at == signature)
          cell.missing[static_cast<size_t>(at - signatures.begin())] = false;
      }
    }
    cells.push_back(std::move(cell));
  }
  if (cells.empty()) return absl::OkStatus();

  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ImageRecord> images, home.catalog().ShardImages(shard));
  if (!std::ranges::equal(images, signatures, {}, &ImageRecord::signature)) {
    return absl::DataLossError("the catalog and the epoch list of shard " + shard.ToString() + " do not agree");
  }
  std::vector<size_t> todo;
  for (size_t i = 0; i < images.size(); ++i) {
    if (std::ranges::any_of(cells, [i](const CellWork& cell) { return cell.missing[i]; })) todo.push_back(i);
  }
  const size_t chunk = home.config().chunk_images;
  for (size_t begin = 0; begin < todo.size() && !control.stopped(); begin += chunk) {
    control.progress("fingerprint", done_before + images.size() - todo.size() + begin, total);
    LIKENESS_RETURN_IF_ERROR(WorkChunk(home, shard, images, cells,
                                       std::span(todo).subspan(begin, std::min(chunk, todo.size() - begin)), control,
                                       report));
  }
  if (control.stopped()) return absl::OkStatus();
  for (const CellWork& cell : cells) {
    LIKENESS_RETURN_IF_ERROR(JoinCell(home, shard, cell.extractor->key(), signatures.size()));
  }
  return absl::OkStatus();
}

}  // namespace likeness
