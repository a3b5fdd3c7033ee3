// Which server of a cluster leads, for tests that end it.
#pragma once

#include <nats/nats.h>

#include <chrono>
#include <string>
#include <thread>

#include "base/clock.h"

namespace likeness {

// The number, as scripts/engines counts them, of the server that leads `stream`, or "" where there is none after a
// minute: after the death of another server it may take a while until one is chosen and this client is told. `urls`:
// with commas.
inline std::string NatsLeader(const std::string& urls, const std::string& stream) {
  std::string leader;
  const Deadline deadline = Deadline::After(std::chrono::minutes(1));
  while (leader.empty() && !deadline.Passed()) {
    natsConnection* connection = nullptr;
    jsCtx* jetstream = nullptr;
    jsStreamInfo* info = nullptr;
    if (natsConnection_ConnectTo(&connection, urls.c_str()) == NATS_OK &&
        natsConnection_JetStream(&jetstream, connection, nullptr) == NATS_OK &&
        js_GetStreamInfo(&info, jetstream, stream.c_str(), nullptr, nullptr) == NATS_OK && info->Cluster != nullptr &&
        info->Cluster->Leader != nullptr) {
      leader = info->Cluster->Leader;
    }
    jsStreamInfo_Destroy(info);
    jsCtx_Destroy(jetstream);
    natsConnection_Destroy(connection);
    if (leader.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return leader.empty() ? "" : leader.substr(leader.size() - 1);
}

}  // namespace likeness
