// The HTTP door: bytes off a socket, through the framing of requests, into the API. The first byte says how the rest
// is cut into pieces. The collection behind it is in memory, so that every fault found is one of the door.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/log.h"
#include "serve/api.h"
#include "serve/fake_backend.h"
#include "serve/http_message.h"

namespace likeness {
namespace {

Api& TheApi() {
  static FakeBackend backend;
  static const Signature image = backend.Add("a picture", "jpeg", "words \xFF of somebody");
  static Api api(backend, [] {
    SetLogLevel(LogLevel::kError);
    (void)image;
    return ApiOptions();
  }());
  return api;
}

void Check(const ApiResponse& response) {
  const bool known = response.status >= 200 && response.status < 600;
  if (!known || (response.content_type.empty() && response.status != 304)) std::abort();
  if (response.status == 500) std::abort();  // nothing here fails by itself: a request did it
  const std::string head = FormatHead(response, true);
  if (head.find("\r\n\r\n") != head.size() - 4) std::abort();  // no header may end the head
}

void Receive(std::string_view bytes, size_t piece) {
  RequestLimits limits;
  limits.body_bytes = 1 << 20;
  RequestReader reader(limits);
  while (!bytes.empty() && reader.state() != RequestReader::State::kFailed) {
    reader.Feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    while (reader.state() == RequestReader::State::kComplete) Check(TheApi().Handle(reader.Take()->message));
  }
  if (reader.state() == RequestReader::State::kFailed) Check(reader.error());
}

}  // namespace
}  // namespace likeness

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  likeness::Receive(bytes, data[0] == 0 ? size : data[0]);
  return 0;
}
