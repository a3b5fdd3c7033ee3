#include "eval/duplicate_pictures.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <system_error>

#include "base/bytes.h"
#include "base/file.h"
#include "base/thread_pool.h"
#include "feature/hash.h"
#include "feature/local.h"
#include "image/decode.h"
#include "product/thumbnail.h"
#include "store/safetensors.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

// Features by signature; one file.
struct Cache {
  struct Entry {
    uint32_t width = 0, height = 0;
    std::vector<std::byte> hash, local;
  };
  std::map<Signature, Entry> entries;
  bool changed = false;
};

constexpr std::string_view kFormat = "likeness.duplicate-features";

absl::StatusOr<Cache> ReadCache(const fs::path& path, const std::string& key) {
  Cache cache;
  std::error_code error;
  if (path.empty() || !fs::exists(path, error)) return cache;
  LIKENESS_ASSIGN_OR_RETURN(const auto mapped, MappedFile::Open(path));
  LIKENESS_ASSIGN_OR_RETURN(const Safetensors file, Safetensors::Open(Blob(mapped, mapped->bytes())));
  const auto known = file.Metadata("features");
  if (!known.ok()) return absl::DataLossError(path.string() + " is no cache of this evaluation: name another file");
  if (*known != key) return cache;  // of other versions: made anew
  LIKENESS_RETURN_IF_ERROR(file.VerifyChecksum());
  LIKENESS_ASSIGN_OR_RETURN(const auto signatures, file.Elements<uint8_t>("signatures", Dtype::kU8));
  LIKENESS_ASSIGN_OR_RETURN(const auto sizes, file.Elements<uint32_t>("sizes", Dtype::kU32));
  LIKENESS_ASSIGN_OR_RETURN(const auto hashes, file.Elements<uint8_t>("hashes", Dtype::kU8));
  LIKENESS_ASSIGN_OR_RETURN(const auto ends, file.Elements<uint64_t>("ends", Dtype::kU64));
  LIKENESS_ASSIGN_OR_RETURN(const auto local, file.Elements<uint8_t>("local", Dtype::kU8));
  const size_t n = ends.size();
  if (signatures.size() != n * 16 || sizes.size() != n * 2 || hashes.size() != n * kPdqValueBytes) {
    return absl::DataLossError(path.string() + " does not fit together: remove it");
  }
  uint64_t begin = 0;
  for (size_t i = 0; i < n; ++i) {
    if (ends[i] < begin || ends[i] > local.size()) {
      return absl::DataLossError(path.string() + " does not fit together: remove it");
    }
    Signature signature;
    std::memcpy(signature.bytes.data(), &signatures[i * 16], 16);
    Cache::Entry& entry = cache.entries[signature];
    entry.width = sizes[2 * i];
    entry.height = sizes[2 * i + 1];
    const auto bytes = std::as_bytes(std::span(hashes)).subspan(i * kPdqValueBytes, kPdqValueBytes);
    if (static_cast<int>(bytes[kPdqValueBytes - 1]) != 0) entry.hash.assign(bytes.begin(), bytes.end());
    const auto rows = std::as_bytes(std::span(local)).subspan(begin, ends[i] - begin);
    entry.local.assign(rows.begin(), rows.end());
    begin = ends[i];
  }
  return cache;
}

absl::Status WriteCache(const fs::path& path, const std::string& key, const Cache& cache) {
  std::vector<std::byte> signatures, hashes, local;
  std::vector<uint32_t> sizes;
  std::vector<uint64_t> ends;
  for (const auto& [signature, entry] : cache.entries) {
    signatures.insert(signatures.end(), signature.bytes.begin(), signature.bytes.end());
    std::vector<std::byte> hash = entry.hash;
    hash.resize(kPdqValueBytes);
    hashes.insert(hashes.end(), hash.begin(), hash.end());
    local.insert(local.end(), entry.local.begin(), entry.local.end());
    ends.push_back(local.size());
    sizes.push_back(entry.width);
    sizes.push_back(entry.height);
  }
  const uint64_t n = ends.size();
  const TensorData tensors[] = {{{"signatures", Dtype::kU8, {n, 16}}, signatures},
                                {{"sizes", Dtype::kU32, {n, 2}}, std::as_bytes(std::span(sizes))},
                                {{"hashes", Dtype::kU8, {n, kPdqValueBytes}}, hashes},
                                {{"ends", Dtype::kU64, {n}}, std::as_bytes(std::span(ends))},
                                {{"local", Dtype::kU8, {local.size()}}, local}};
  LIKENESS_ASSIGN_OR_RETURN(const std::string bytes,
                            WriteSafetensors(tensors, {{"format", std::string(kFormat)}, {"features", key}}));
  return WriteFileAtomic(path, AsBytes(bytes));
}

}  // namespace

absl::StatusOr<std::vector<fs::path>> PictureFiles(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return absl::NotFoundError("there is no folder " + folder.string());
  }
  std::vector<fs::path> files;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string extension = it->path().extension().string();
    if (it->is_regular_file(error) && (extension == ".jpg" || extension == ".jpeg" || extension == ".png")) {
      files.push_back(it->path());
    }
  }
  std::ranges::sort(files);
  return files;
}

absl::StatusOr<std::unique_ptr<DuplicatePictures>> DuplicatePictures::Load(
    const std::vector<File>& files, std::shared_ptr<const Vocabulary> vocabulary, const fs::path& cache_path,
    size_t threads, const std::function<void(size_t, size_t)>& progress) {
  const std::unique_ptr<Extractor> local = MakeLocalExtractor(vocabulary);
  const std::string key = local->key().ToString() + " " + HashFeatureKey().ToString();
  LIKENESS_ASSIGN_OR_RETURN(Cache cache, ReadCache(cache_path, key));
  std::vector<DuplicatePicture> all(files.size());
  std::vector<uint8_t> good(files.size(), 0);
  std::mutex mutex;  // guards cache and done
  size_t done = 0;
  ParallelFor(files.size(), threads, [&](size_t i) {
    DuplicatePicture& picture = all[i];
    picture.path = files[i].path;
    picture.set = files[i].set;
    const ImageLimits limits;
    const absl::StatusOr<std::string> bytes = ReadFile(picture.path, limits.max_bytes);
    if (bytes.ok()) {
      picture.signature = Signature::Of(AsBytes(*bytes));
      {
        const std::lock_guard lock(mutex);
        if (const auto found = cache.entries.find(picture.signature); found != cache.entries.end()) {
          picture.width = found->second.width;
          picture.height = found->second.height;
          picture.hash = found->second.hash;
          picture.local = found->second.local;
          good[i] = 1;
        }
      }
      if (good[i] == 0) {
        const absl::StatusOr<Pixels> pixels = DecodeImage(AsBytes(*bytes), limits, kStandardSize);
        if (pixels.ok()) {
          picture.width = pixels->full_width;
          picture.height = pixels->full_height;
          auto value = local->Extract({&*pixels, 1});
          if (value.ok() && value->front().ok()) picture.local = *std::move(value->front());
          value = MakeHashExtractor()->Extract({&*pixels, 1});
          if (value.ok() && value->front().ok()) picture.hash = *std::move(value->front());
          good[i] = 1;
          const std::lock_guard lock(mutex);
          cache.entries[picture.signature] = {picture.width, picture.height, picture.hash, picture.local};
          cache.changed = true;
        }
      }
    }
    const std::lock_guard lock(mutex);
    if (progress) progress(++done, files.size());
  });
  if (!cache_path.empty() && cache.changed) LIKENESS_RETURN_IF_ERROR(WriteCache(cache_path, key, cache));
  auto pictures = std::make_unique<DuplicatePictures>();
  std::set<Signature> seen;
  for (size_t i = 0; i < all.size(); ++i) {
    if (good[i] == 0) {
      ++pictures->unreadable_;
    } else if (!seen.insert(all[i].signature).second) {
      ++pictures->repeated_;
    } else {
      pictures->pictures_.push_back(std::move(all[i]));
    }
  }
  return pictures;
}

std::optional<PdqValue> DuplicatePictures::Hash(uint64_t document) const {
  return ParsePdqValue(pictures_[document].hash);
}

absl::StatusOr<DuplicateRecord> DuplicatePictures::Read(uint64_t document) const {
  const DuplicatePicture& picture = pictures_[document];
  DuplicateRecord record{picture.width, picture.height, Hash(document), {}};
  LIKENESS_ASSIGN_OR_RETURN(record.local, UnpackLocals(picture.local));
  return record;
}

absl::StatusOr<Pixels> DuplicatePictures::ReadPixels(uint64_t document) const {
  const ImageLimits limits;
  LIKENESS_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(pictures_[document].path, limits.max_bytes));
  return DecodeImage(AsBytes(bytes), limits, kStandardSize);
}

}  // namespace likeness
