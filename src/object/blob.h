// Bytes that somebody else keeps: the content of an object, mapped or fetched.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace likeness {

// A handle, cheap to copy, on bytes that never change. They live as long as any copy of the handle. Any thread.
class Blob {
 public:
  Blob() = default;
  // `owner` keeps `bytes` alive.
  Blob(std::shared_ptr<const void> owner, std::span<const std::byte> bytes) : owner_(std::move(owner)), bytes_(bytes) {}

  // Owns `content`, whose first byte is aligned for any scalar type.
  static Blob Of(std::string content) {
    content.reserve(32);  // Longer than a string keeps within itself, so that the bytes stand aligned on the heap.
    auto owner = std::make_shared<const std::string>(std::move(content));
    const std::span<const std::byte> bytes = std::as_bytes(std::span(owner->data(), owner->size()));
    return Blob(std::move(owner), bytes);
  }

  std::span<const std::byte> bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }

 private:
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> bytes_;
};

}  // namespace likeness
