// What the server counts, in the text format of Prometheus.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace likeness {

struct ServedPictures;

enum class ThumbnailFrom { kMemory, kFolder, kMade };

// Any thread. Times are seconds, as is the custom of that format.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // `path` must be one of a fixed set ("/v1/images/{signature}"), never what a client sent: each is kept for ever.
  void Answered(std::string_view path, int status, double seconds);
  void Searched(double decode, double feature, double search);
  // Work sent away because there was too much: "searches", "pictures", "requests", "connections".
  void Refused(std::string_view what);
  void Thumbnail(ThumbnailFrom from);

  // All of it, with what is served now.
  std::string Text(const ServedPictures& served);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace likeness
