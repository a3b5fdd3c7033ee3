// The queue on a real cluster of NATS servers.
#include "engines/queue_conformance.h"
#include "queue/nats_queue.h"
#include "support/engines.h"

namespace likeness {
namespace {

std::vector<std::string> Urls() {
  std::vector<std::string> urls(1);
  for (const char c : EngineSetting("LIKENESS_TEST_NATS_URLS").value_or("")) {
    if (c == ',') {
      urls.emplace_back();
    } else {
      urls.back() += c;
    }
  }
  return urls;
}

QueueEngine Nats(int replicas) {
  return {"nats" + std::to_string(replicas), [replicas](const std::string& name) {
            NatsOptions options;
            options.urls = Urls();
            options.name = name;
            options.replicas = replicas;
            return OpenNatsQueue(options);
          }};
}

INSTANTIATE_TEST_SUITE_P(Nats, QueueConformance, testing::Values(Nats(3), Nats(1)));

}  // namespace
}  // namespace likeness
