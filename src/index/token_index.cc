#include "index/token_index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <utility>

#include "base/bytes.h"
#include "index/token_format.h"

namespace likeness {
namespace {

absl::Status ReadAt(int fd, uint64_t offset, size_t size, std::byte* to, const std::string& path) {
  while (size > 0) {
    const ssize_t got = ::pread(fd, to, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "cannot read " + path);
    if (got == 0) return absl::DataLossError(path + " is cut off");
    to += got;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

template <typename T>
uint64_t ChecksumOf(const T& object) {
  return Checksum(std::as_bytes(std::span(&object, 1)).first(offsetof(T, checksum)));
}

uint32_t ReadGap(const std::byte* gaps, size_t bit, uint32_t width) {
  uint64_t word;
  std::memcpy(&word, gaps + bit / 8, sizeof(word));
  return static_cast<uint32_t>((word >> (bit % 8)) & ((uint64_t{1} << width) - 1));
}

}  // namespace

size_t TokenPart::BlockPostings(size_t block) const {
  return std::min<size_t>(kTokenBlock, signatures.size() - block * kTokenBlock);
}

size_t TokenPart::GapBytes(size_t block) const { return TokenGapBytes(BlockPostings(block), widths[block]); }

void TokenPart::Documents(size_t block, size_t at, size_t count, uint32_t (&out)[64]) const {
  const uint32_t width = widths[block];
  const std::byte* const from = gaps.data() + at;
  uint32_t doc = bases[block];
  out[0] = doc;
  for (size_t i = 1; i < count; ++i) out[i] = doc += ReadGap(from, (i - 1) * width, width);
}

absl::StatusOr<std::shared_ptr<const TokenIndex>> TokenIndex::Open(const std::filesystem::path& path,
                                                                   std::shared_ptr<TokenCache> cache) {
  std::shared_ptr<TokenIndex> index(new TokenIndex());
  index->path_ = path.string();
  index->file_ = Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (index->file_.get() < 0) return ErrnoStatus(errno, "cannot open " + index->path_);
  index->cache_ = std::move(cache);
  index->id_ = index->cache_->NewFile();
  LIKENESS_RETURN_IF_ERROR(index->ReadTables());
  return index;
}

absl::Status TokenIndex::ReadTables() {
  struct stat info;
  if (::fstat(file_.get(), &info) != 0) return ErrnoStatus(errno, "cannot read " + path_);
  file_bytes_ = static_cast<uint64_t>(info.st_size);
  const auto damaged = [&](const std::string& reason) { return absl::DataLossError(path_ + " " + reason); };
  TokensHeader header;
  TokensFooter footer;
  if (file_bytes_ < sizeof(header) + sizeof(footer)) return damaged("is no token file, or is cut off");
  LIKENESS_RETURN_IF_ERROR(ReadAt(file_.get(), 0, sizeof(header), reinterpret_cast<std::byte*>(&header), path_));
  if (header.magic != kTokensMagic) return damaged("is no token file");
  if (header.version > kTokensVersion) {
    return absl::UnimplementedError(path_ + " is a token file of version " + std::to_string(header.version) +
                                    "; this program reads version " + std::to_string(kTokensVersion));
  }
  LIKENESS_RETURN_IF_ERROR(
      ReadAt(file_.get(), file_bytes_ - sizeof(footer), sizeof(footer), reinterpret_cast<std::byte*>(&footer), path_));
  if (header.checksum != ChecksumOf(header)) return damaged("has a damaged header");
  if (footer.magic != kTokensFooterMagic || footer.checksum != ChecksumOf(footer) ||
      footer.file_length != file_bytes_) {
    return damaged("has no whole footer: it is cut off");
  }
  const uint64_t docs = header.documents, end = file_bytes_ - sizeof(footer);
  const auto fits = [&](uint64_t count, uint64_t each) { return count <= file_bytes_ / each; };
  if (docs > std::numeric_limits<uint32_t>::max() || footer.tables_offset > end ||
      footer.tables_offset < sizeof(header) || !fits(footer.parts, sizeof(TokenPartEntry)) ||
      !fits(docs, sizeof(float)) ||
      footer.parts * sizeof(TokenPartEntry) + docs * sizeof(float) + footer.feature_length !=
          end - footer.tables_offset) {
    return damaged("has tables of the wrong length");
  }
  const size_t size = end - footer.tables_offset;
  tables_ = std::make_unique_for_overwrite<std::byte[]>(size);
  LIKENESS_RETURN_IF_ERROR(ReadAt(file_.get(), footer.tables_offset, size, tables_.get(), path_));
  if (Checksum({tables_.get(), size}) != footer.tables_checksum) return damaged("has damaged tables");
  parts_ = footer.parts;
  postings_ = footer.postings;
  entries_ = reinterpret_cast<const TokenPartEntry*>(tables_.get());
  norms_ = {reinterpret_cast<const float*>(entries_ + parts_), docs};
  const std::string name(reinterpret_cast<const char*>(norms_.data() + docs), footer.feature_length);
  const auto feature = FeatureKey::Parse(name);
  if (!feature) return damaged("has words of no feature");
  feature_ = *feature;
  // A table by word saves a search through all entries for each keypoint of a query.
  const size_t table = parts_ == 0 ? 0 : size_t{entries_[parts_ - 1].word} + 2;
  const bool dense = table <= 8 * parts_ + 1024;
  if (dense) begins_.reserve(table);
  for (size_t i = 0; i < parts_; ++i) {
    const TokenPartEntry& entry = entries_[i];
    if (entry.postings < 1 || entry.postings > kTokenPartPostings || entry.offset > footer.tables_offset ||
        entry.bytes > footer.tables_offset - entry.offset || entry.word > entries_[parts_ - 1].word ||
        (i > 0 && entry.word < entries_[i - 1].word)) {
      return damaged("has tables that make no sense");
    }
    words_ += i == 0 || entry.word != entries_[i - 1].word ? 1 : 0;
    if (dense && begins_.size() <= entry.word) begins_.resize(size_t{entry.word} + 1, static_cast<uint32_t>(i));
  }
  if (dense && parts_ > 0) begins_.push_back(static_cast<uint32_t>(parts_));
  return absl::OkStatus();
}

uint64_t TokenIndex::resident_bytes() const {
  return parts_ * sizeof(TokenPartEntry) + norms_.size_bytes() + begins_.size() * sizeof(uint32_t);
}

TokenIndex::List TokenIndex::Find(uint32_t word) const {
  const std::span<const TokenPartEntry> entries(entries_, parts_);
  List list;
  if (begins_.empty()) {
    const auto begin = std::ranges::lower_bound(entries, word, {}, &TokenPartEntry::word);
    list.begin = static_cast<uint32_t>(begin - entries.begin());
  } else {
    list.begin = size_t{word} + 1 < begins_.size() ? begins_[word] : static_cast<uint32_t>(parts_);
  }
  list.end = list.begin;
  for (; list.end < parts_ && entries[list.end].word == word; ++list.end) {
    list.documents = entries[list.end].documents;
    list.postings += entries[list.end].postings;
  }
  return list;
}

absl::StatusOr<TokenPart> TokenIndex::Read(uint32_t part) const {
  const TokenPartEntry& entry = entries_[part];
  const auto damaged = [&] {
    return absl::DataLossError(path_ + " has a damaged list of word " + std::to_string(entry.word) +
                               ": build it again, or fetch it anew");
  };
  // What fits the entry is known before its bytes are trusted, so that views never leave them.
  const size_t n = entry.postings, blocks = TokenBlocks(n);
  const size_t fixed = n * (sizeof(uint64_t) + sizeof(uint32_t)) + blocks * (sizeof(uint32_t) + 1);
  if (entry.bytes < fixed) return damaged();
  LIKENESS_ASSIGN_OR_RETURN(TokenCache::Pinned buffer,
                            cache_->Get(id_, part, entry.bytes, [&](std::byte* to) -> absl::Status {
                              LIKENESS_RETURN_IF_ERROR(ReadAt(file_.get(), entry.offset, entry.bytes, to, path_));
                              return Checksum({to, entry.bytes}) == entry.checksum ? absl::OkStatus() : damaged();
                            }));
  TokenPart read;
  const std::byte* at = buffer->data;
  read.signatures = {reinterpret_cast<const uint64_t*>(at), n};
  at += read.signatures.size_bytes();
  read.geometry = {reinterpret_cast<const uint32_t*>(at), n};
  at += read.geometry.size_bytes();
  read.bases = {reinterpret_cast<const uint32_t*>(at), blocks};
  at += read.bases.size_bytes();
  read.widths = {reinterpret_cast<const uint8_t*>(at), blocks};
  at += read.widths.size_bytes();
  read.gaps = {at, entry.bytes - fixed};
  size_t bytes = 0;
  for (size_t block = 0; block < blocks; ++block) {
    if (read.widths[block] > 32) return damaged();
    bytes += read.GapBytes(block);
  }
  if (bytes != read.gaps.size()) return damaged();
  read.owner = std::move(buffer);
  return read;
}

void TokenIndex::Announce(const List& list) const {
  if (list.empty()) return;
  const TokenPartEntry &first = entries_[list.begin], &last = entries_[list.end - 1];
  if (last.offset < first.offset) return;
  (void)::posix_fadvise(file_.get(), static_cast<off_t>(first.offset),
                        static_cast<off_t>(last.offset - first.offset + last.bytes), POSIX_FADV_WILLNEED);
}

absl::Status TokenIndex::Verify() const {
  uint64_t postings = 0;
  for (uint32_t part = 0; part < parts_; ++part) {
    LIKENESS_ASSIGN_OR_RETURN(const TokenPart read, Read(part));
    postings += read.signatures.size();
    uint32_t before = 0;
    size_t at = 0;
    for (size_t block = 0; block < read.bases.size(); ++block) {
      uint32_t docs[64];
      read.Documents(block, at, read.BlockPostings(block), docs);
      at += read.GapBytes(block);
      for (size_t i = 0; i < read.BlockPostings(block); ++i) {
        if (docs[i] < before || docs[i] >= doc_count()) {
          return absl::DataLossError(path_ + " has a list of word " + std::to_string(entries_[part].word) +
                                     " that is not in the order of documents");
        }
        before = docs[i];
      }
    }
  }
  if (postings != postings_) return absl::DataLossError(path_ + " has another number of postings than it says");
  return absl::OkStatus();
}

LocalFeature TokenFeature(uint32_t word, uint64_t signature, uint32_t geometry) {
  constexpr float kStep = kLocalFrame / 1024.0f;
  LocalFeature feature;
  feature.word = word;
  feature.signature = signature;
  feature.x = (static_cast<float>(TokenX(geometry)) + 0.5f) * kStep;
  feature.y = (static_cast<float>(TokenY(geometry)) + 0.5f) * kStep;
  feature.sigma = std::exp2((static_cast<float>(TokenScale(geometry)) + 0.375f) / 4 - 4);
  feature.angle = (static_cast<float>(TokenAngle(geometry)) + 0.375f) / 64 * static_cast<float>(2 * std::numbers::pi);
  return feature;
}

bool IsTokenFile(std::span<const std::byte> head) {
  uint64_t magic = 0;
  if (head.size() < sizeof(magic)) return false;
  std::memcpy(&magic, head.data(), sizeof(magic));
  return magic == kTokensMagic;
}

}  // namespace likeness
