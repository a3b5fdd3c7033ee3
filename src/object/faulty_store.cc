#include "object/faulty_store.h"

#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <thread>

#include "base/bytes.h"
#include "base/file.h"

namespace likeness {
namespace {

void FlipBit(std::string& content, uint64_t bit) {
  if (content.empty()) return;
  bit %= content.size() * 8;
  content[bit / 8] = static_cast<char>(content[bit / 8] ^ (1 << (bit % 8)));
}

// Makes the call unless `fault` keeps it from happening, and answers as `fault` says.
template <typename Call>
auto Answer(const std::optional<StoreFault>& fault, Call call) -> decltype(call()) {
  if (fault && fault->kind == StoreFault::Kind::kFail) return fault->status;
  auto result = call();
  if (fault && fault->kind == StoreFault::Kind::kLostAnswer) return fault->status;
  return result;
}

}  // namespace

void FaultyStore::Inject(StoreFault fault) {
  const std::lock_guard lock(mutex_);
  faults_.push_back(std::move(fault));
}

uint64_t FaultyStore::calls(StoreCall call) const {
  const std::lock_guard lock(mutex_);
  return calls_[static_cast<size_t>(call)];
}

std::optional<StoreFault> FaultyStore::Meet(StoreCall call) {
  std::optional<StoreFault> fault;
  {
    const std::lock_guard lock(mutex_);
    const uint64_t nth = ++calls_[static_cast<size_t>(call)];
    const auto found = std::ranges::find_if(
        faults_, [&](const StoreFault& f) { return f.call == call && nth >= f.nth && nth - f.nth < f.times; });
    if (found != faults_.end()) fault = *found;
  }
  if (fault && fault->kind == StoreFault::Kind::kDelay) std::this_thread::sleep_for(fault->delay);
  return fault;
}

absl::Status FaultyStore::Put(std::string_view key, std::span<const std::byte> bytes, const PutOptions& options) {
  return Answer(Meet(StoreCall::kPut), [&] { return inner_.Put(key, bytes, options); });
}

absl::Status FaultyStore::PutFile(std::string_view key, const std::filesystem::path& path, const PutOptions& options) {
  return Answer(Meet(StoreCall::kPutFile), [&] { return inner_.PutFile(key, path, options); });
}

absl::StatusOr<Blob> FaultyStore::Get(std::string_view key) {
  const std::optional<StoreFault> fault = Meet(StoreCall::kGet);
  auto blob = Answer(fault, [&] { return inner_.Get(key); });
  if (!blob.ok() || !fault || fault->kind != StoreFault::Kind::kFlipBit) return blob;
  std::string content(AsText(blob->bytes()));
  FlipBit(content, fault->bit);
  return Blob::Of(std::move(content));
}

absl::StatusOr<std::string> FaultyStore::GetRange(std::string_view key, uint64_t offset, uint64_t size) {
  const std::optional<StoreFault> fault = Meet(StoreCall::kGetRange);
  auto content = Answer(fault, [&] { return inner_.GetRange(key, offset, size); });
  if (content.ok() && fault && fault->kind == StoreFault::Kind::kFlipBit) FlipBit(*content, fault->bit);
  return content;
}

absl::StatusOr<std::optional<ObjectInfo>> FaultyStore::Head(std::string_view key) {
  return Answer(Meet(StoreCall::kHead), [&] { return inner_.Head(key); });
}

absl::StatusOr<std::vector<ObjectInfo>> FaultyStore::List(std::string_view prefix, std::string_view start_after,
                                                          size_t limit) {
  return Answer(Meet(StoreCall::kList), [&] { return inner_.List(prefix, start_after, limit); });
}

absl::Status FaultyStore::Delete(std::string_view key) {
  return Answer(Meet(StoreCall::kDelete), [&] { return inner_.Delete(key); });
}

absl::StatusOr<std::filesystem::path> FaultyStore::LocalFile(std::string_view key) {
  const std::optional<StoreFault> fault = Meet(StoreCall::kLocalFile);
  auto path = Answer(fault, [&] { return inner_.LocalFile(key); });
  if (!path.ok() || !fault || fault->kind != StoreFault::Kind::kFlipBit) return path;
  LIKENESS_ASSIGN_OR_RETURN(std::string content, ReadFile(*path));
  FlipBit(content, fault->bit);
  std::error_code error;
  const std::lock_guard lock(mutex_);
  const std::filesystem::path damaged =
      std::filesystem::temp_directory_path(error) /
      ("likeness_damaged_" + std::to_string(::getpid()) + "_" + std::to_string(reinterpret_cast<uintptr_t>(this)) +
       "_" + std::to_string(damaged_.size()));
  LIKENESS_RETURN_IF_ERROR(WriteFileAtomic(damaged, AsBytes(content)));
  return damaged_.emplace_back(damaged);
}

FaultyStore::~FaultyStore() {
  std::error_code unused;
  for (const std::filesystem::path& path : damaged_) std::filesystem::remove(path, unused);
}

}  // namespace likeness
