#include "object/s3_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <system_error>

#include "base/bytes.h"
#include "base/descriptor.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "object/file_cache.h"
#include "object/s3_client.h"
#include "object/s3_content.h"
#include "object/s3_xml.h"

namespace likeness {
namespace {

constexpr size_t kMaxS3KeyBytes = 1024;
constexpr size_t kPageObjects = 1000;
constexpr uint64_t kMostInMemory = 64ull << 20;
constexpr uint64_t kMostInOnePut = 5ull << 30;
constexpr uint64_t kLeastPart = 5ull << 20;
constexpr uint64_t kMostParts = 10'000;
constexpr uint64_t kAskFirstBytes = 1 << 20;  // Before sending more than this for nothing, ask.
constexpr char kProbe[] = "likeness-probe";
constexpr std::chrono::milliseconds kAbortWithin{5000};

std::string RandomToken() {
  std::random_device device;
  std::string token;
  for (int i = 0; i < 2; ++i) {
    const uint32_t word = device();
    token += HexEncode(std::as_bytes(std::span(&word, 1)));
  }
  return token;
}

absl::Status Exists(std::string_view key) {
  return absl::AlreadyExistsError("the object '" + std::string(key) + "' exists already");
}

std::string SizeText(uint64_t bytes) { return std::to_string(bytes); }

}  // namespace

absl::StatusOr<std::unique_ptr<S3Store>> S3Store::Open(const S3Options& options) {
  if (!options.prefix.empty()) {
    LIKENESS_RETURN_IF_ERROR(Annotate(CheckObjectKey(options.prefix), "the prefix of the S3 store"));
  }
  if (options.part_bytes < kLeastPart || options.part_threads == 0) {
    return absl::InvalidArgumentError("parts of S3 uploads must have 5 MiB at least, and one must be on its way");
  }
  std::unique_ptr<S3Store> store(new S3Store());
  LIKENESS_ASSIGN_OR_RETURN(store->client_, S3Client::Make(options));
  store->prefix_ = options.prefix.empty() ? "" : options.prefix + "/";
  LIKENESS_RETURN_IF_ERROR(store->Probe());
  std::filesystem::path cache = options.cache;
  if (cache.empty()) {
    std::error_code error;
    cache = std::filesystem::temp_directory_path(error) / ("likeness-cache-" + RandomToken());
    store->own_cache_ = cache;
  }
  LIKENESS_ASSIGN_OR_RETURN(store->cache_, FileCache::Open(cache, options.cache_bytes));
  return store;
}

S3Store::~S3Store() {
  std::error_code unused;
  if (!own_cache_.empty()) std::filesystem::remove_all(own_cache_, unused);
}

S3Store::Counts S3Store::counts() const { return {client_->counts().requests, client_->counts().retries}; }

// The probe stays: whoever opens the store after the first learns all from two refused puts.
absl::Status S3Store::Probe() {
  const S3Options& options = client_->options();
  const Deadline deadline = Deadline::After(options.open_within);
  const auto put = [&](const char* header, const char* value) {
    S3Call call{.method = "PUT", .key = KeyOf(kProbe), .headers = {{header, value}}};
    call.within =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline.when() - std::chrono::steady_clock::now());
    return client_->Do(call);
  };
  bool may_write = true;
  for (int turn = 0; turn < 2 && !honors_if_absent_; ++turn) {  // The first makes the probe where there is none.
    LIKENESS_ASSIGN_OR_RETURN(const S3Reply reply, put("if-none-match", "*"));
    honors_if_absent_ = reply.status == 412 || reply.status == 409;
    if (honors_if_absent_ || reply.ok()) continue;
    may_write = reply.code != "AccessDenied";
    if (!may_write) break;
    if (reply.status != 501 && reply.status != 400) return client_->StatusOf(reply, "");
    if (!reply.code.empty() && reply.code != "NotImplemented" && reply.code != "InvalidArgument" &&
        reply.code != "InvalidRequest") {
      return client_->StatusOf(reply, "");
    }
    break;
  }
  if (!may_write) {  // Enough to read from.
    S3Call call{.query = {{"list-type", "2"}, {"max-keys", "1"}, {"prefix", prefix_}}};
    call.within = options.open_within;
    LIKENESS_ASSIGN_OR_RETURN(const S3Reply reply, client_->Do(call));
    if (!reply.ok()) return client_->StatusOf(reply, "");
    Log(LogLevel::kWarning, "s3_read_only",
        {{"bucket", options.bucket}, {"what", "the credentials allow no writing: puts will fail"}});
    return absl::OkStatus();
  }
  LIKENESS_ASSIGN_OR_RETURN(const S3Reply reply, put("if-match", "00000000000000000000000000000000"));
  honors_if_match_ = reply.status == 412 || reply.status == 409;
  if (!honors_if_absent_ || !honors_if_match_) {
    Log(LogLevel::kWarning, "s3_conditions_ignored",
        {{"endpoint", client_->endpoint()},
         {"if_absent", honors_if_absent_ ? "honored" : "ignored: asked before each put instead"},
         {"if_match", honors_if_match_        ? "honored"
                      : options.single_writer ? "ignored: let no other process write to this collection"
                                              : "ignored: releases cannot be switched on this server"}});
  }
  return absl::OkStatus();
}

// Whether an upload in parts onto an object that is there is refused at its end. Asked once, before the first that
// needs to know.
absl::StatusOr<S3Store::Parts> S3Store::ProbeParts() {
  const std::lock_guard lock(parts_mutex_);
  if (parts_ != Parts::kUnknown) return parts_;
  const std::string key = KeyOf(kProbe);
  LIKENESS_ASSIGN_OR_RETURN(const S3Reply begun,
                            client_->Do({.method = "POST", .key = key, .query = {{"uploads", ""}}}));
  if (!begun.ok()) return client_->StatusOf(begun, key);
  const std::string upload = XmlText(begun.body, "UploadId");
  LIKENESS_ASSIGN_OR_RETURN(
      const S3Reply part,
      client_->Do({.method = "PUT", .key = key, .query = {{"partNumber", "1"}, {"uploadId", upload}}}));
  const std::string end = CompleteUploadXml({PlainEtag(part.Header("etag"))});
  LIKENESS_ASSIGN_OR_RETURN(const S3Reply ended, client_->Do({.method = "POST",
                                                              .key = key,
                                                              .query = {{"uploadId", upload}},
                                                              .headers = {{"if-none-match", "*"}},
                                                              .body = {AsBytes(end)},
                                                              .payload_sha256 = Sha256Hex(AsBytes(end))}));
  if (!ended.ok()) {
    (void)client_->Do({.method = "DELETE", .key = key, .query = {{"uploadId", upload}}, .within = kAbortWithin});
  }
  return parts_ = ended.status == 412 ? Parts::kHonored : Parts::kIgnored;
}

absl::Status S3Store::Put(std::string_view key, std::span<const std::byte> bytes, const PutOptions& options) {
  return PutBody(key, {.bytes = bytes}, options);
}

absl::Status S3Store::PutFile(std::string_view key, const std::filesystem::path& path, const PutOptions& options) {
  LIKENESS_RETURN_IF_ERROR(CheckPut(key, options));
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info;
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) return ErrnoStatus(errno, "cannot read " + path.string());
  if (!S_ISREG(info.st_mode)) return absl::FailedPreconditionError(path.string() + " is not a regular file");
  LIKENESS_RETURN_IF_ERROR(PutBody(key, {.fd = file.get(), .file_size = static_cast<uint64_t>(info.st_size)}, options));
  if (options.take_file) ::unlink(path.c_str());
  return absl::OkStatus();
}

absl::Status S3Store::PutBody(std::string_view key, const S3Body& body, const PutOptions& options) {
  LIKENESS_RETURN_IF_ERROR(CheckPut(key, options));
  if (prefix_.size() + key.size() > kMaxS3KeyBytes) {
    return absl::InvalidArgumentError("the object key '" + std::string(key.substr(0, 100)) +
                                      "...' is longer than S3 allows behind this prefix");
  }
  if (options.if_match && !honors_if_match_ && !client_->options().single_writer) {
    return absl::FailedPreconditionError("the S3 server at " + client_->endpoint() +
                                         " does not decide conditional puts, so that a switch could be lost: use a "
                                         "server that does, or promise that one "
                                         "process alone writes (single_writer)");
  }
  const bool conditional = options.if_absent || options.if_match;
  const bool asks = (options.if_absent && !honors_if_absent_) || (options.if_match && !honors_if_match_);
  if (asks || (conditional && body.size() >= kAskFirstBytes)) LIKENESS_RETURN_IF_ERROR(AskFirst(key, options));

  bool in_parts = body.size() > client_->options().multipart_from;
  if (in_parts && conditional && !asks && body.size() <= kMostInOnePut) {
    LIKENESS_ASSIGN_OR_RETURN(const Parts parts, ProbeParts());
    in_parts = parts == Parts::kHonored;
  }
  const uint64_t part_bytes =
      in_parts ? std::max(client_->options().part_bytes, body.size() / (kMostParts - 1) + 1) : body.size() + 1;
  LIKENESS_ASSIGN_OR_RETURN(const S3Digests digests, DigestBody(body, part_bytes));
  return in_parts ? PutInParts(key, body, digests, part_bytes, options) : PutWhole(key, body, digests, options);
}

absl::StatusOr<std::optional<S3Reply>> S3Store::Ask(std::string_view key) {
  LIKENESS_ASSIGN_OR_RETURN(S3Reply reply, client_->Do({.method = "HEAD", .key = KeyOf(key)}));
  if (reply.status == 404) return std::nullopt;
  if (!reply.ok()) return client_->StatusOf(reply, key);
  return reply;
}

absl::Status S3Store::AskFirst(std::string_view key, const PutOptions& options) {
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<S3Reply> now, Ask(key));
  if (options.if_absent && now) return Exists(key);
  if (options.if_match && (!now || PlainEtag(now->Header("etag")) != *options.if_match)) {
    return absl::FailedPreconditionError("the object '" + std::string(key) +
                                         (now ? "' was changed by another" : "' is gone"));
  }
  return absl::OkStatus();
}

absl::Status S3Store::Outcome(std::string_view key, const S3Reply& reply, const std::string& token,
                              const PutOptions& options) {
  if (reply.ok()) return absl::OkStatus();
  const bool lost = reply.status == 412 || (reply.status == 404 && reply.code != "NoSuchBucket");
  if (!lost) return client_->StatusOf(reply, key);
  // An attempt of this put whose answer was lost may be what the last one lost against; curl, too, sends again what a
  // kept connection lost.
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<S3Reply> now, Ask(key));
  if (now && now->Header(kPutHeader) == token) return absl::OkStatus();
  if (options.if_absent && reply.status == 412) return Exists(key);
  if (!options.if_match && !options.if_absent) return absl::UnavailableError(MessageOf(client_->StatusOf(reply, key)));
  return absl::FailedPreconditionError("the object '" + std::string(key) + "' was changed by another, or is gone");
}

absl::Status S3Store::PutWhole(std::string_view key, const S3Body& body, const S3Digests& digests,
                               const PutOptions& options) {
  const std::string token = RandomToken();
  S3Call call{.method = "PUT",
              .key = KeyOf(key),
              .headers = {{kXxh3Header, digests.xxh3}, {kPutHeader, token}},
              .body = body,
              .payload_sha256 = digests.sha256[0]};
  if (options.if_absent && honors_if_absent_) call.headers.emplace_back("if-none-match", "*");
  if (options.if_match && honors_if_match_) call.headers.emplace_back("if-match", *options.if_match);
  LIKENESS_ASSIGN_OR_RETURN(const S3Reply reply, client_->Do(call));
  return Outcome(key, reply, token, options);
}

absl::Status S3Store::PutInParts(std::string_view key, const S3Body& body, const S3Digests& digests,
                                 uint64_t part_bytes, const PutOptions& options) {
  const std::string token = RandomToken();
  const std::string full = KeyOf(key);
  LIKENESS_ASSIGN_OR_RETURN(const S3Reply begun,
                            client_->Do({.method = "POST",
                                         .key = full,
                                         .query = {{"uploads", ""}},
                                         .headers = {{kXxh3Header, digests.xxh3}, {kPutHeader, token}}}));
  if (!begun.ok()) return client_->StatusOf(begun, key);
  const std::string upload = XmlText(begun.body, "UploadId");
  if (upload.empty()) return absl::InternalError("the S3 server gives no name to an upload in parts: is it S3?");

  const size_t count = digests.sha256.size();
  std::vector<std::string> etags(count);
  std::mutex mutex;
  absl::Status status;  // guarded by mutex: the first failure
  ParallelFor(count, client_->options().part_threads, [&](size_t i) {
    {
      const std::lock_guard lock(mutex);
      if (!status.ok()) return;
    }
    const uint64_t offset = i * part_bytes, size = std::min(part_bytes, body.size() - offset);
    S3Body part = body;
    if (body.fd >= 0) {
      part.offset = body.offset + offset;
      part.file_size = size;
    } else {
      part.bytes = body.bytes.subspan(offset, size);
    }
    const auto reply = client_->Do({.method = "PUT",
                                    .key = full,
                                    .query = {{"partNumber", std::to_string(i + 1)}, {"uploadId", upload}},
                                    .body = part,
                                    .payload_sha256 = digests.sha256[i]});
    const std::lock_guard lock(mutex);
    if (reply.ok() && reply->ok()) {
      etags[i] = PlainEtag(reply->Header("etag"));
    } else if (status.ok()) {
      status = reply.ok() ? client_->StatusOf(*reply, key) : reply.status();
    }
  });
  if (status.ok()) {
    const std::string end = CompleteUploadXml(etags);
    S3Call call{.method = "POST",
                .key = full,
                .query = {{"uploadId", upload}},
                .body = {AsBytes(end)},
                .payload_sha256 = Sha256Hex(AsBytes(end))};
    if (options.if_absent && honors_if_absent_) call.headers.emplace_back("if-none-match", "*");
    if (options.if_match && honors_if_match_) call.headers.emplace_back("if-match", *options.if_match);
    absl::StatusOr<S3Reply> ended = client_->Do(call);
    if (ended.ok() && ended->ok() && ended->body.find("<Error>") != std::string::npos) {
      // A good status was sent before the work was done, and the work then failed.
      ended->status = 500;
      ended->code = XmlText(ended->body, "Code");
    }
    status = ended.ok() ? Outcome(key, *ended, token, options) : ended.status();
  }
  if (!status.ok()) {
    (void)client_->Do({.method = "DELETE", .key = full, .query = {{"uploadId", upload}}, .within = kAbortWithin});
  }
  return status;
}

absl::StatusOr<Blob> S3Store::Get(std::string_view key) {
  LIKENESS_RETURN_IF_ERROR(CheckObjectKey(key));
  WholeSink sink(*cache_, kMostInMemory);
  const auto reply = client_->Do({.key = KeyOf(key), .sink = &sink});
  if (!reply.ok()) return Annotate(reply.status(), "the object '" + std::string(key) + "'");
  if (!reply->ok()) return client_->StatusOf(*reply, key);
  auto file = sink.TakeFile();
  if (!file) return Blob::Of(sink.TakeText());
  // The file loses its name here and stays as long as it is mapped.
  LIKENESS_ASSIGN_OR_RETURN(const auto mapped, MappedFile::Open(file->path()));
  return Blob(mapped, mapped->bytes());
}

absl::StatusOr<std::string> S3Store::GetRange(std::string_view key, uint64_t offset, uint64_t size) {
  LIKENESS_RETURN_IF_ERROR(CheckObjectKey(key));
  const auto beyond = [&] {
    return absl::OutOfRangeError("the object '" + std::string(key) + "' ends before byte " + SizeText(offset) + " + " +
                                 SizeText(size));
  };
  if (size == 0 || size > INT64_MAX || offset > INT64_MAX) {  // What no header Range can say.
    LIKENESS_ASSIGN_OR_RETURN(const std::optional<ObjectInfo> now, Head(key));
    if (!now) return absl::NotFoundError("there is no object '" + std::string(key) + "'");
    if (size > 0 || offset > now->size) return beyond();
    return std::string();
  }
  RangeSink sink(offset, size);
  const std::string range = "bytes=" + std::to_string(offset) + "-" + std::to_string(offset + size - 1);
  const auto reply = client_->Do({.key = KeyOf(key), .headers = {{"range", range}}, .sink = &sink});
  if (!reply.ok()) return absl::IsOutOfRange(reply.status()) ? beyond() : reply.status();
  if (reply->status == 416) return beyond();
  if (!reply->ok()) return client_->StatusOf(*reply, key);
  return sink.TakeText();
}

absl::StatusOr<std::optional<ObjectInfo>> S3Store::Head(std::string_view key) {
  LIKENESS_RETURN_IF_ERROR(CheckObjectKey(key));
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<S3Reply> reply, Ask(key));
  if (!reply) return std::nullopt;
  const std::optional<uint64_t> size = ParseSize(reply->Header("content-length"));
  if (!size) return absl::InternalError("the S3 server does not say how large '" + std::string(key) + "' is");
  return ObjectInfo{std::string(key), *size, PlainEtag(reply->Header("etag"))};
}

absl::StatusOr<std::vector<ObjectInfo>> S3Store::List(std::string_view prefix, std::string_view start_after,
                                                      size_t limit) {
  std::vector<ObjectInfo> objects;
  std::string after(start_after);
  while (objects.size() < limit) {
    S3Call call{.query = {{"list-type", "2"},
                          {"max-keys", std::to_string(std::min(limit - objects.size(), kPageObjects))},
                          {"prefix", KeyOf(prefix)}}};
    if (!after.empty()) call.query.emplace_back("start-after", KeyOf(after));
    LIKENESS_ASSIGN_OR_RETURN(const S3Reply reply, client_->Do(call));
    if (!reply.ok()) return client_->StatusOf(reply, "");
    LIKENESS_ASSIGN_OR_RETURN(S3Page page, ParseListing(reply.body));
    const size_t count = page.objects.size();
    for (ObjectInfo& object : page.objects) {
      if (!object.key.starts_with(prefix_))
        return absl::InternalError("the S3 server lists keys that were not asked for");
      object.key.erase(0, prefix_.size());
      if (object.key <= after && !after.empty()) {
        return absl::InternalError("the S3 server lists keys out of order, or does not know start-after");
      }
      after = object.key;
      // The probe, and what others put there under names that are no keys.
      if (object.key != kProbe && CheckObjectKey(object.key).ok()) objects.push_back(std::move(object));
    }
    if (!page.truncated || count == 0) break;
  }
  return objects;
}

absl::Status S3Store::Delete(std::string_view key) {
  LIKENESS_RETURN_IF_ERROR(CheckObjectKey(key));
  LIKENESS_ASSIGN_OR_RETURN(const S3Reply reply, client_->Do({.method = "DELETE", .key = KeyOf(key)}));
  return reply.ok() || (reply.status == 404 && reply.code != "NoSuchBucket") ? absl::OkStatus()
                                                                             : client_->StatusOf(reply, key);
}

std::string S3Store::CacheName(std::string_view key, const std::string& etag) const {
  return Sha256Hex(AsBytes(client_->endpoint() + "\n" + client_->options().bucket + "\n" + KeyOf(key) + "\n" + etag));
}

// A server that runs for months sees many releases come and go: what it was lent of those that are gone need not stay.
void S3Store::ForgetWhatIsGone() {
  std::map<std::string, std::string> lent;
  {
    const std::lock_guard lock(lent_mutex_);
    lent = lent_;
  }
  for (const auto& [name, key] : lent) {
    const auto now = Head(key);
    if (!now.ok() || (*now && CacheName(key, (*now)->etag) == name)) continue;
    cache_->Forget(name);
    const std::lock_guard lock(lent_mutex_);
    lent_.erase(name);
  }
}

absl::StatusOr<std::filesystem::path> S3Store::LocalFile(std::string_view key) {
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<ObjectInfo> now, Head(key));
  if (!now) return absl::NotFoundError("there is no object '" + std::string(key) + "'");
  const auto lend = [&](const std::string& name) {
    const std::lock_guard lock(lent_mutex_);
    lent_[name] = key;
  };
  std::string name = CacheName(key, now->etag);
  if (const auto path = cache_->Use(name)) {
    lend(name);
    return *path;
  }
  if (cache_->over_bound()) ForgetWhatIsGone();
  WholeSink sink(*cache_, 0);
  const auto reply = client_->Do({.key = KeyOf(key), .sink = &sink});
  if (!reply.ok()) return Annotate(reply.status(), "the object '" + std::string(key) + "'");
  if (!reply->ok()) return client_->StatusOf(*reply, key);
  auto file = sink.TakeFile();
  if (!file) {  // Empty: it went to memory.
    LIKENESS_ASSIGN_OR_RETURN(FileCache::Staged empty, cache_->Stage());
    file.emplace(std::move(empty));
  }
  // The object may have been replaced since the first question: this is the content that came.
  name = CacheName(key, PlainEtag(reply->Header("etag")));
  lend(name);
  return cache_->Keep(std::move(*file), name);
}

}  // namespace likeness
