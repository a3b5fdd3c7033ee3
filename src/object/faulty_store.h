// An object store that fails on demand, for the tests of those who use one.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <vector>

#include "object/object_store.h"

namespace likeness {

enum class StoreCall { kPut, kPutFile, kGet, kGetRange, kHead, kList, kDelete, kLocalFile };
inline constexpr size_t kStoreCalls = 8;

// What shall happen at one call.
struct StoreFault {
  enum class Kind {
    kFail,  // nothing is done and `status` is returned: a put refused, a full disk, a torn put, of which none is seen
    kLostAnswer,  // it is done, and `status` is returned all the same
    kFlipBit,     // Get, GetRange, LocalFile: bit `bit` (modulo the size) of the bytes read is turned
    kDelay,       // it is done after `delay`
  };
  StoreCall call = StoreCall::kPut;
  uint64_t nth = 1;  // counted from the store's making, per kind of call, the first is 1
  uint64_t times =
      1;  // so many calls in a row, from the nth; UINT64_MAX: all that follow, as on a disk that stays full
  Kind kind = Kind::kFail;
  absl::Status status = absl::UnavailableError("fault injected by a test");
  uint64_t bit = 0;
  std::chrono::milliseconds delay{0};
};

// Passes all calls on to `inner`, which must outlive it, but for the injected faults. Any thread.
class FaultyStore final : public ObjectStore {
 public:
  explicit FaultyStore(ObjectStore& inner) : inner_(inner) {}
  ~FaultyStore() override;  // Removes the damaged files that LocalFile made.

  void Inject(StoreFault fault);
  uint64_t calls(StoreCall call) const;

  absl::Status Put(std::string_view key, std::span<const std::byte> bytes, const PutOptions& options = {}) override;
  absl::Status PutFile(std::string_view key, const std::filesystem::path& path,
                       const PutOptions& options = {}) override;
  absl::StatusOr<Blob> Get(std::string_view key) override;
  absl::StatusOr<std::string> GetRange(std::string_view key, uint64_t offset, uint64_t size) override;
  absl::StatusOr<std::optional<ObjectInfo>> Head(std::string_view key) override;
  absl::StatusOr<std::vector<ObjectInfo>> List(std::string_view prefix, std::string_view start_after,
                                               size_t limit) override;
  absl::Status Delete(std::string_view key) override;
  absl::StatusOr<std::filesystem::path> LocalFile(std::string_view key) override;

 private:
  // Counts the call, waits where told to, and returns the fault that it meets.
  std::optional<StoreFault> Meet(StoreCall call);

  ObjectStore& inner_;
  mutable std::mutex mutex_;
  std::array<uint64_t, kStoreCalls> calls_{};   // guarded by mutex_
  std::vector<StoreFault> faults_;              // guarded by mutex_
  std::vector<std::filesystem::path> damaged_;  // guarded by mutex_
};

}  // namespace likeness
