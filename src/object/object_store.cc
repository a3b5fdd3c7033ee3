#include "object/object_store.h"

#include <algorithm>

namespace likeness {
namespace {

constexpr size_t kMaxKeyBytes = 1000;
constexpr size_t kMaxPartBytes = 200;
constexpr size_t kPageObjects = 1000;

// Quotes what is printable of a key that may be anything.
std::string Shown(std::string_view key) {
  std::string shown(key.substr(0, 100));
  std::ranges::replace_if(
      shown, [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return "the object key '" + shown + (key.size() > 100 ? "...'" : "'");
}

}  // namespace

absl::Status CheckObjectKey(std::string_view key) {
  const auto refuse = [&](std::string_view reason) {
    return absl::InvalidArgumentError(Shown(key) + " " + std::string(reason));
  };
  if (key.empty()) return refuse("is empty");
  if (key.size() > kMaxKeyBytes) return refuse("is longer than 1000 bytes");
  for (const char c : key) {
    if (c < 0x20 || c > 0x7e || c == '\\')
      return refuse("holds a character other than printable ASCII, or a backslash");
  }
  size_t begin = 0;
  while (true) {
    const size_t end = std::min(key.find('/', begin), key.size());
    if (end == begin) return refuse("has an empty part");
    if (end - begin > kMaxPartBytes) return refuse("has a part longer than 200 bytes");
    if (key[begin] == '.') return refuse("has a part that begins with '.'");
    if (end == key.size()) return absl::OkStatus();
    begin = end + 1;
  }
}

absl::Status CheckPut(std::string_view key, const PutOptions& options) {
  if (options.if_absent && options.if_match) {
    return absl::InvalidArgumentError("a put cannot ask for an absent object and for one with an etag");
  }
  return CheckObjectKey(key);
}

absl::StatusOr<std::vector<ObjectInfo>> ListAll(ObjectStore& store, std::string_view prefix) {
  std::vector<ObjectInfo> all;
  while (true) {
    LIKENESS_ASSIGN_OR_RETURN(std::vector<ObjectInfo> page,
                              store.List(prefix, all.empty() ? "" : std::string_view(all.back().key), kPageObjects));
    const bool last = page.size() < kPageObjects;
    std::ranges::move(page, std::back_inserter(all));
    if (last) return all;
  }
}

}  // namespace likeness
