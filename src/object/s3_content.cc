#include "object/s3_content.h"

#include <openssl/evp.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "base/bytes.h"

namespace likeness {
namespace {

constexpr size_t kBlockBytes = 1 << 20;
constexpr uint64_t kMostReserved = 1 << 30;  // A header's word is not enough to take more memory at once.

std::string Digits(uint64_t value) {
  std::string digits(16, '0');
  for (size_t i = 16; i-- > 0; value >>= 4) digits[i] = "0123456789abcdef"[value & 15];
  return digits;
}

// A digest of OpenSSL, fed in pieces.
class OpenSslDigest {
 public:
  explicit OpenSslDigest(const EVP_MD* kind) : context_(EVP_MD_CTX_new()), kind_(kind) { Restart(); }
  ~OpenSslDigest() { EVP_MD_CTX_free(context_); }
  OpenSslDigest(const OpenSslDigest&) = delete;
  OpenSslDigest& operator=(const OpenSslDigest&) = delete;

  void Restart() { LIKENESS_CHECK(EVP_DigestInit_ex(context_, kind_, nullptr) == 1); }
  void Add(std::span<const std::byte> piece) {
    LIKENESS_CHECK(EVP_DigestUpdate(context_, piece.data(), piece.size()) == 1);
  }
  std::string Hex() {
    std::array<std::byte, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    LIKENESS_CHECK(EVP_DigestFinal_ex(context_, reinterpret_cast<unsigned char*>(digest.data()), &size) == 1);
    return HexEncode(std::span(digest).first(size));
  }

 private:
  EVP_MD_CTX* const context_;
  const EVP_MD* const kind_;
};

class Xxh3Digest {
 public:
  Xxh3Digest() : state_(XXH3_createState()) { Restart(); }
  ~Xxh3Digest() { XXH3_freeState(state_); }
  Xxh3Digest(const Xxh3Digest&) = delete;
  Xxh3Digest& operator=(const Xxh3Digest&) = delete;

  void Restart() { XXH3_64bits_reset(state_); }
  void Add(std::span<const std::byte> piece) { XXH3_64bits_update(state_, piece.data(), piece.size()); }
  std::string Hex() const { return Digits(XXH3_64bits_digest(state_)); }

 private:
  XXH3_state_t* const state_;
};

bool IsMd5(std::string_view etag) {
  return etag.size() == 32 &&
         std::ranges::all_of(etag, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// Objects encrypted so have etags of their own making.
bool HasKeysOfItsOwn(const S3Reply& reply) {
  return reply.Header("x-amz-server-side-encryption").starts_with("aws:") ||
         !reply.Header("x-amz-server-side-encryption-customer-algorithm").empty();
}

}  // namespace

absl::StatusOr<S3Digests> DigestBody(const S3Body& body, uint64_t part_bytes) {
  S3Digests digests;
  if (body.fd < 0 && body.size() <= part_bytes) {
    return S3Digests{Digits(Checksum(body.bytes)), {Sha256Hex(body.bytes)}};
  }
  Xxh3Digest whole;
  OpenSslDigest part(EVP_sha256());
  std::string buffer(body.fd >= 0 ? std::min<uint64_t>(kBlockBytes, body.size()) : 0, '\0');
  uint64_t done = 0, in_part = 0;
  while (done < body.size()) {
    const uint64_t want = std::min({body.size() - done, part_bytes - in_part, uint64_t{kBlockBytes}});
    std::span<const std::byte> piece;
    if (body.fd < 0) {
      piece = body.bytes.subspan(done, want);
    } else {
      const ssize_t got = ::pread(body.fd, buffer.data(), want, static_cast<off_t>(body.offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoStatus(errno, "cannot read a file that is put");
      if (got == 0) return absl::UnavailableError("a file shrank while it was put");
      piece = AsBytes(std::string_view(buffer).substr(0, static_cast<size_t>(got)));
    }
    whole.Add(piece);
    part.Add(piece);
    done += piece.size();
    in_part += piece.size();
    if (in_part == part_bytes && done < body.size()) {
      digests.sha256.push_back(part.Hex());
      part.Restart();
      in_part = 0;
    }
  }
  digests.sha256.push_back(part.Hex());
  digests.xxh3 = whole.Hex();
  return digests;
}

std::optional<uint64_t> ParseSize(std::string_view digits) {
  uint64_t size = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return size;
}

std::string PlainEtag(std::string_view etag) {
  std::string plain(etag);
  std::erase(plain, '"');
  return plain;
}

struct WholeSink::Hashes {
  Xxh3Digest xxh3;
  OpenSslDigest md5{EVP_md5()};
  bool by_xxh3 = false, by_md5 = false;
};

WholeSink::WholeSink(FileCache& cache, uint64_t most_in_memory)
    : cache_(cache), most_in_memory_(most_in_memory), hashes_(std::make_unique<Hashes>()) {}

WholeSink::~WholeSink() = default;

absl::Status WholeSink::Begin(const S3Reply& reply) {
  text_.clear();
  file_.reset();
  seen_ = 0;
  announced_ = ParseSize(reply.Header("content-length"));
  hashes_->by_xxh3 = !reply.Header(kXxh3Header).empty();
  hashes_->by_md5 = !hashes_->by_xxh3 && IsMd5(PlainEtag(reply.Header("etag"))) && !HasKeysOfItsOwn(reply);
  hashes_->xxh3.Restart();
  hashes_->md5.Restart();
  if (announced_ && *announced_ <= most_in_memory_) {
    text_.reserve(std::min(*announced_, kMostReserved));
    return absl::OkStatus();
  }
  LIKENESS_ASSIGN_OR_RETURN(FileCache::Staged file, cache_.Stage());
  file_.emplace(std::move(file));
  return absl::OkStatus();
}

absl::Status WholeSink::Write(std::span<const std::byte> piece) {
  seen_ += piece.size();
  if (hashes_->by_xxh3) hashes_->xxh3.Add(piece);
  if (hashes_->by_md5) hashes_->md5.Add(piece);
  if (file_) return WriteAll(file_->fd(), piece, "cannot write " + file_->path().string());
  text_.append(AsText(piece));
  return absl::OkStatus();
}

absl::Status WholeSink::End(const S3Reply& reply) {
  const bool whole = !announced_ || seen_ == *announced_;
  const bool same = hashes_->by_xxh3  ? hashes_->xxh3.Hex() == reply.Header(kXxh3Header)
                    : hashes_->by_md5 ? hashes_->md5.Hex() == PlainEtag(reply.Header("etag"))
                                      : true;
  if (whole && same) return absl::OkStatus();
  return absl::DataLossError(whole ? "its bytes are not those that were put (the checksum differs)"
                                   : "it ended after " + std::to_string(seen_) + " of " + std::to_string(*announced_) +
                                         " bytes");
}

absl::Status RangeSink::Begin(const S3Reply& reply) {
  text_.clear();
  const std::string_view range = reply.Header("content-range");
  if (reply.status != 206 || !range.starts_with("bytes " + std::to_string(offset_) + "-")) {
    return absl::InternalError("the server does not answer with the range that was asked for");
  }
  text_.reserve(std::min(size_, kMostReserved));
  return absl::OkStatus();
}

absl::Status RangeSink::Write(std::span<const std::byte> piece) {
  if (piece.size() > size_ - text_.size()) return absl::InternalError("the server sends more than was asked for");
  text_.append(AsText(piece));
  return absl::OkStatus();
}

absl::Status RangeSink::End(const S3Reply&) {
  if (text_.size() == size_) return absl::OkStatus();
  return absl::OutOfRangeError("the object ends before the range that is read");
}

}  // namespace likeness
