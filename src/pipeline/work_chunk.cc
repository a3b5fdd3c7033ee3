#include "pipeline/work_chunk.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/free_memory.h"
#include "base/thread_pool.h"
#include "image/decode.h"
#include "pipeline/parts.h"
#include "pipeline/read_ahead.h"
#include "pipeline/shards.h"
#include "store/feature_shard.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

constexpr std::string_view kGivenUp = "computing ", kEndedIts = " of it ended its worker ";
constexpr size_t kLeastAhead = 32;  // pictures that are fetched before they are needed

// One feature of a slice: which of its images are missing, and the part that is being made of them.
struct Column {
  std::shared_ptr<const Extractor> extractor;
  FeatureShardInfo info;
  std::vector<bool> missing;  // by position in the slice
  FeatureShardWriter writer;  // guarded by SliceWork::mutex_
  uint64_t images = 0;        // that were computed, in `seconds`; guarded by SliceWork::mutex_
  double seconds = 0;         // of one thread
};

// A range of a shard that is put as one part for each feature.
class SliceWork {
 public:
  // `every_feature`: the columns are all features that the collection has.
  SliceWork(Home& home, std::span<const ImageRecord> images, std::vector<Column>& columns, bool every_feature,
            WorkReport& report)
      : home_(home), images_(images), columns_(columns), every_feature_(every_feature), report_(report) {
    for (const Column& column : columns_) {
      batch_ = std::max(batch_, column.extractor->batch());
      const DecodeSize size = column.extractor->decode_size();
      if (std::ranges::find(sizes_, size) == sizes_.end()) sizes_.push_back(size);
    }
  }

  absl::Status Run(const std::atomic<bool>& stop, const std::function<void()>& tick) {
    std::vector<size_t> todo;
    for (size_t i = 0; i < images_.size(); ++i) {
      if (std::ranges::any_of(columns_, [i](const Column& column) { return column.missing[i]; })) todo.push_back(i);
    }
    absl::Status failure;
    const size_t batches = (todo.size() + batch_ - 1) / batch_;
    ReadAhead pictures(home_, images_, todo, std::max(kLeastAhead, 2 * home_.config().threads * batch_));
    ParallelFor(batches, home_.config().threads, [&](size_t i) {
      if (stop.load(std::memory_order_relaxed)) return;
      {
        const std::lock_guard lock(mutex_);
        if (!failure.ok()) return;
      }
      const size_t begin = i * batch_, size = std::min(batch_, todo.size() - begin);
      const absl::Status status = RunBatch(pictures, std::span(todo).subspan(begin, size), begin);
      const std::lock_guard lock(mutex_);
      if (failure.ok()) failure = status;
      tick();
    });
    return failure;
  }

  // What it has cost, for chunk sizes and for people.
  absl::Status RecordRates() {
    for (const Column& column : columns_) {
      if (column.images == 0) continue;
      LIKENESS_RETURN_IF_ERROR(home_.catalog().RecordRate({column.info.feature, column.images, column.seconds}));
    }
    if (decoded_ == 0) return absl::OkStatus();
    return home_.catalog().RecordRate({kDecodeRate, decoded_, decode_seconds_});
  }

 private:
  // A picture as one feature wants it, with its place in the slice.
  struct Decoded {
    std::vector<Pixels> pixels;
    std::vector<size_t> positions;
  };

  // `begin`: where the batch is among the pictures.
  absl::Status RunBatch(ReadAhead& pictures, std::span<const size_t> batch, size_t begin) {
    std::vector<Decoded> decoded(sizes_.size());
    for (const size_t position : batch) {
      const ImageRecord& image = images_[position];
      const absl::Status status = Decode(pictures.Take(begin++), position, decoded);
      if (status.ok()) continue;
      if (BlameOf(status) == Blame::kWorld) return Annotate(status, image.location);
      LIKENESS_RETURN_IF_ERROR(Refuse(position, status));
    }
    for (Column& column : columns_) {
      const auto at = std::ranges::find(sizes_, column.extractor->decode_size()) - sizes_.begin();
      LIKENESS_RETURN_IF_ERROR(Extract(column, decoded[static_cast<size_t>(at)]));
    }
    return absl::OkStatus();
  }

  // Into each of the sizes, or into none.
  absl::Status Decode(const absl::StatusOr<std::string>& bytes, size_t position, std::vector<Decoded>& decoded) {
    LIKENESS_RETURN_IF_ERROR(bytes.status());
    const Stopwatch watch;
    std::vector<Pixels> pixels;
    for (const DecodeSize& size : sizes_) {
      LIKENESS_ASSIGN_OR_RETURN(Pixels one, DecodeImage(AsBytes(*bytes), home_.config().image, size));
      pixels.push_back(std::move(one));
    }
    for (size_t i = 0; i < sizes_.size(); ++i) {
      decoded[i].pixels.push_back(std::move(pixels[i]));
      decoded[i].positions.push_back(position);
    }
    const double seconds = watch.Milliseconds() / 1e3;
    const std::lock_guard lock(mutex_);
    ++report_.decoded;
    ++decoded_;
    decode_seconds_ += seconds;
    return absl::OkStatus();
  }

  absl::Status Refuse(size_t position, const absl::Status& fault) {
    const std::string reason = MessageOf(fault);
    const std::lock_guard lock(mutex_);
    bool none = every_feature_;
    for (Column& column : columns_) {
      none = none && column.missing[position];
      if (!column.missing[position]) continue;
      LIKENESS_RETURN_IF_ERROR(column.writer.AddFailure(images_[position].signature, reason));
    }
    if (!images_[position].reason.empty()) return absl::OkStatus();
    ++report_.quarantined;
    // Bytes that were not there may come again; they are computed then, unless a feature of them is there already.
    const bool gone = BlameOf(fault) == Blame::kCaller && none;
    return home_.catalog().QuarantineImage(images_[position].signature, ImageFault{.reason = reason, .gone = gone});
  }

  absl::Status Extract(Column& column, const Decoded& decoded) {
    // Nearly always every picture of the batch is wanted, and nothing is copied.
    Decoded some;
    const Decoded* wanted = &decoded;
    const auto missing = [&](size_t position) { return bool{column.missing[position]}; };
    if (!std::ranges::all_of(decoded.positions, missing)) {
      for (size_t i = 0; i < decoded.positions.size(); ++i) {
        if (!missing(decoded.positions[i])) continue;
        some.pixels.push_back(decoded.pixels[i]);
        some.positions.push_back(decoded.positions[i]);
      }
      wanted = &some;
    }
    if (wanted->pixels.empty()) return absl::OkStatus();
    const Stopwatch watch;
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<FeatureValue> values, column.extractor->Extract(wanted->pixels));
    LIKENESS_CHECK(values.size() == wanted->pixels.size());
    const double seconds = watch.Milliseconds() / 1e3;
    const std::lock_guard lock(mutex_);
    column.images += values.size();
    column.seconds += seconds;
    for (size_t i = 0; i < values.size(); ++i) {
      const Signature& signature = images_[wanted->positions[i]].signature;
      const Pixels& pixels = wanted->pixels[i];
      if (!values[i].ok()) {
        LIKENESS_RETURN_IF_ERROR(column.writer.AddFailure(signature, MessageOf(values[i].status())));
        continue;
      }
      const ImageSize size{static_cast<int32_t>(pixels.full_width), static_cast<int32_t>(pixels.full_height)};
      LIKENESS_RETURN_IF_ERROR(column.writer.Add(signature, size, *values[i]));
      ++report_.computed;
    }
    return absl::OkStatus();
  }

  Home& home_;
  const std::span<const ImageRecord> images_;
  std::vector<Column>& columns_;
  const bool every_feature_;
  WorkReport& report_;  // guarded by mutex_
  std::mutex mutex_;
  std::vector<DecodeSize> sizes_;
  size_t batch_ = 1;
  uint64_t decoded_ = 0;       // guarded by mutex_
  double decode_seconds_ = 0;  // of one thread; guarded by mutex_
};

// The extractors of the chunk's features whose cells are not sealed.
absl::StatusOr<Extractors> Wanted(Home& home, const Chunk& chunk, const Extractors& extractors) {
  Extractors wanted;
  for (const FeatureKey& feature : chunk.features) {
    const auto found = std::ranges::find_if(extractors, [&](const auto& one) { return one->key() == feature; });
    if (found == extractors.end()) {
      return absl::FailedPreconditionError("the plan asks for " + feature.ToString() +
                                           ", which this worker does not compute: give all workers the same "
                                           "likeness.toml and models, and plan again");
    }
    LIKENESS_ASSIGN_OR_RETURN(const auto sealed, home.objects().Head(FeatureShardKey(feature, chunk.shard)));
    if (!sealed) wanted.push_back(*found);
  }
  return wanted;
}

// What a slice lacks. The parts that may hold some of it are numbered from the slice's place in the grid of slices on.
absl::StatusOr<std::vector<Column>> OpenColumns(Home& home, const Chunk& slice, const Extractors& extractors,
                                                std::span<const Signature> signatures) {
  const uint64_t grid = home.config().part_images;
  std::vector<Column> columns;
  for (const auto& extractor : extractors) {
    const FeatureShardInfo info{extractor->key(), slice.shard, extractor->layout()};
    LIKENESS_ASSIGN_OR_RETURN(std::vector<bool> missing, MissingOf(home, info.feature, slice.shard, signatures,
                                                                   {slice.begin / grid * grid, slice.end}));
    columns.push_back({extractor, info, std::move(missing), FeatureShardWriter(info)});
  }
  return columns;
}

absl::StatusOr<std::vector<ImageRecord>> ImagesOf(Home& home, const ShardId& shard,
                                                  std::span<const Signature> signatures) {
  LIKENESS_ASSIGN_OR_RETURN(std::vector<ImageRecord> images, home.catalog().ShardImages(shard, signatures));
  if (images.size() != signatures.size()) {
    return absl::InternalError("the catalog does not know every image of a shard: was an older copy put in its place?");
  }
  return images;
}

absl::Status PutColumns(Home& home, std::vector<Column>& columns, const Chunk& slice) {
  for (Column& column : columns) {
    if (column.writer.size() == 0) continue;
    LIKENESS_RETURN_IF_ERROR(PutPart(home, column.writer, column.info, {slice.begin, slice.end}));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WorkChunk(Home& home, const Chunk& chunk, const Extractors& extractors, const std::atomic<bool>& stop,
                       const std::function<void()>& tick, WorkReport& report) {
  LIKENESS_ASSIGN_OR_RETURN(const Extractors wanted, Wanted(home, chunk, extractors));
  if (wanted.empty()) return absl::OkStatus();
  LIKENESS_ASSIGN_OR_RETURN(const EpochList list, ReadEpochList(home, chunk.shard));
  const uint64_t grid = home.config().part_images, end = std::min<uint64_t>(chunk.end, list.signatures().size());
  for (uint64_t begin = chunk.begin; begin < end && !stop.load(std::memory_order_relaxed); ReleaseFreeMemory()) {
    Chunk slice{chunk.shard, begin, std::min(end, (begin / grid + 1) * grid), chunk.features};
    begin = slice.end;
    const auto signatures = list.signatures().subspan(slice.begin, slice.images());
    LIKENESS_ASSIGN_OR_RETURN(std::vector<Column> columns, OpenColumns(home, slice, wanted, signatures));
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<ImageRecord> images, ImagesOf(home, chunk.shard, signatures));
    // What was computed before a fault or a stop is put too: it need not be computed again.
    SliceWork work(home, images, columns, wanted.size() == extractors.size(), report);
    const absl::Status worked = work.Run(stop, tick);
    LIKENESS_RETURN_IF_ERROR(PutColumns(home, columns, slice));
    LIKENESS_RETURN_IF_ERROR(work.RecordRates());
    LIKENESS_RETURN_IF_ERROR(worked);
  }
  return absl::OkStatus();
}

bool ConcernsOneFeature(std::string_view reason) {
  return reason.starts_with(kGivenUp) && reason.find(kEndedIts) != std::string_view::npos;
}

absl::Status GiveUpOn(Home& home, const Chunk& chunk, const Extractors& extractors, WorkReport& report) {
  LIKENESS_CHECK(chunk.images() == 1);
  LIKENESS_ASSIGN_OR_RETURN(const Extractors wanted, Wanted(home, chunk, extractors));
  LIKENESS_ASSIGN_OR_RETURN(const EpochList list, ReadEpochList(home, chunk.shard));
  if (wanted.empty() || chunk.begin >= list.signatures().size()) return absl::OkStatus();
  const auto signature = list.signatures().subspan(chunk.begin, 1);
  LIKENESS_ASSIGN_OR_RETURN(std::vector<Column> columns, OpenColumns(home, chunk, wanted, signature));
  for (Column& column : columns) {
    if (!column.missing[0]) continue;
    const std::string reason = std::string(kGivenUp) + column.info.feature.type + std::string(kEndedIts) +
                               std::to_string(kMaxAttempts) + " times";
    LIKENESS_RETURN_IF_ERROR(column.writer.AddFailure(signature[0], reason));
    LIKENESS_RETURN_IF_ERROR(home.catalog().QuarantineImage(signature[0], reason));
    ++report.quarantined;
  }
  return PutColumns(home, columns, chunk);
}

}  // namespace likeness
