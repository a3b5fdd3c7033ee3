#include "serve/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <fstream>

#include "serve/backend.h"

namespace likeness {
namespace {

using prometheus::Histogram;

Histogram::BucketBoundaries Buckets() {
  return {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
}

// Pages of this process in memory, in bytes; 0 where the system does not tell.
double ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0;
  double resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests = prometheus::BuildCounter()
                                                          .Name("likeness_http_requests_total")
                                                          .Help("Requests answered, by path and status.")
                                                          .Register(registry);
  prometheus::Family<Histogram>& seconds = prometheus::BuildHistogram()
                                               .Name("likeness_http_request_seconds")
                                               .Help("Time from a request read to its answer ready, by path.")
                                               .Register(registry);
  prometheus::Family<Histogram>& stages = prometheus::BuildHistogram()
                                              .Name("likeness_search_stage_seconds")
                                              .Help("Time of each stage of a search.")
                                              .Register(registry);
  prometheus::Family<prometheus::Counter>& refused =
      prometheus::BuildCounter()
          .Name("likeness_refused_total")
          .Help("Work sent away with 503 because there was too much at once.")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& thumbnails = prometheus::BuildCounter()
                                                            .Name("likeness_thumbnails_total")
                                                            .Help("Thumbnails given, by where they came from.")
                                                            .Register(registry);
  prometheus::Gauge& images = prometheus::BuildGauge()
                                  .Name("likeness_release_images")
                                  .Help("Images in the release that is served.")
                                  .Register(registry)
                                  .Add({});
  prometheus::Gauge& young_images = prometheus::BuildGauge()
                                        .Name("likeness_young_images")
                                        .Help("New images that are searched beside the release.")
                                        .Register(registry)
                                        .Add({});
  prometheus::Gauge& young_segments = prometheus::BuildGauge()
                                          .Name("likeness_young_segments")
                                          .Help("Segments in memory in which new images lie.")
                                          .Register(registry)
                                          .Add({});
  prometheus::Gauge& memory = prometheus::BuildGauge()
                                  .Name("process_resident_memory_bytes")
                                  .Help("Resident memory of the process.")
                                  .Register(registry)
                                  .Add({});
  Histogram& decode = stages.Add({{"stage", "decode"}}, Buckets());
  Histogram& feature = stages.Add({{"stage", "feature"}}, Buckets());
  Histogram& search = stages.Add({{"stage", "search"}}, Buckets());
  prometheus::Counter& from_memory = thumbnails.Add({{"from", "memory"}});
  prometheus::Counter& from_folder = thumbnails.Add({{"from", "folder"}});
  prometheus::Counter& made = thumbnails.Add({{"from", "made"}});
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

void Metrics::Answered(std::string_view path, int status, double seconds) {
  const std::string name(path);
  state_->requests.Add({{"path", name}, {"status", std::to_string(status)}}).Increment();
  state_->seconds.Add({{"path", name}}, Buckets()).Observe(seconds);
}

void Metrics::Searched(double decode, double feature, double search) {
  state_->decode.Observe(decode);
  state_->feature.Observe(feature);
  state_->search.Observe(search);
}

void Metrics::Refused(std::string_view what) { state_->refused.Add({{"what", std::string(what)}}).Increment(); }

void Metrics::Thumbnail(ThumbnailFrom from) {
  switch (from) {
    case ThumbnailFrom::kMemory:
      return state_->from_memory.Increment();
    case ThumbnailFrom::kFolder:
      return state_->from_folder.Increment();
    case ThumbnailFrom::kMade:
      return state_->made.Increment();
  }
}

std::string Metrics::Text(const ServedPictures& served) {
  state_->images.Set(static_cast<double>(served.release));
  state_->young_images.Set(static_cast<double>(served.young.images));
  state_->young_segments.Set(static_cast<double>(served.young.segments));
  state_->memory.Set(ResidentBytes());
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace likeness
