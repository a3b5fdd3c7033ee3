#include "cluster/registry.h"

#include <algorithm>

#include "base/log.h"
#include "queue/nats_connection.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;

// What a key may be made of.
std::string KeyOf(const std::string& address) {
  std::string key = address;
  for (char& c : key) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    if (!plain) c = '_';
  }
  return key;
}

}  // namespace

class LeafRegistry::Bucket {
 public:
  static absl::StatusOr<std::unique_ptr<Bucket>> Open(const NatsOptions& options, milliseconds alive) {
    auto bucket = std::make_unique<Bucket>();
    LIKENESS_ASSIGN_OR_RETURN(bucket->connection_, NatsConnection::Open(options));
    const std::string name = options.name + "-leaves";
    kvConfig config;
    kvConfig_Init(&config);
    config.Bucket = name.c_str();
    config.History = 1;
    config.TTL = std::chrono::nanoseconds(alive).count();
    config.StorageType = js_MemoryStorage;
    config.Replicas = options.replicas;
    const NatsResult made = bucket->connection_->Persist(options.open_timeout, [&] {
      return NatsResult{js_CreateKeyValue(&bucket->store_, bucket->connection_->jetstream(), &config)};
    });
    if (made.ok()) return bucket;
    if (!made.Passing() && js_KeyValue(&bucket->store_, bucket->connection_->jetstream(), name.c_str()) == NATS_OK) {
      return absl::FailedPreconditionError("the leaves of " + options.name +
                                           " are known under another time to live or number of replicas: set [cluster] "
                                           "alive_seconds and [queue] replicas to the same everywhere, or delete the "
                                           "bucket " +
                                           name);
    }
    return Annotate(bucket->connection_->StatusOf(made, "cannot make the bucket " + name), "leaves");
  }

  ~Bucket() { kvStore_Destroy(store_); }

  absl::Status Put(const std::string& address) {
    return connection_->StatusOf({kvStore_PutString(nullptr, store_, KeyOf(address).c_str(), address.c_str())},
                                 "cannot say where this leaf is");
  }

  void Remove(const std::string& address) { (void)kvStore_Delete(store_, KeyOf(address).c_str()); }

  absl::Status List(std::vector<std::string>& addresses) {
    kvKeysList keys = {nullptr, 0};
    const natsStatus listed = kvStore_Keys(&keys, store_, nullptr);
    absl::Status status =
        listed == NATS_NOT_FOUND ? absl::OkStatus() : connection_->StatusOf({listed}, "cannot list the leaves");
    for (int i = 0; status.ok() && i < keys.Count; ++i) {
      kvEntry* entry = nullptr;
      const natsStatus got = kvStore_Get(&entry, store_, keys.Keys[i]);
      if (got == NATS_OK) {
        addresses.emplace_back(static_cast<const char*>(kvEntry_Value(entry)),
                               static_cast<size_t>(kvEntry_ValueLen(entry)));
      } else if (got != NATS_NOT_FOUND) {  // it may have expired meanwhile
        status = connection_->StatusOf({got}, "cannot list the leaves");
      }
      kvEntry_Destroy(entry);
    }
    kvKeysList_Destroy(&keys);
    return status;
  }

 private:
  std::unique_ptr<NatsConnection> connection_;
  kvStore* store_ = nullptr;
};

LeafRegistry::LeafRegistry(std::unique_ptr<Bucket> bucket, milliseconds alive, std::string address)
    : bucket_(std::move(bucket)), alive_(alive), address_(std::move(address)) {}

absl::StatusOr<std::unique_ptr<LeafRegistry>> LeafRegistry::Open(const NatsOptions& options, milliseconds alive,
                                                                 const std::string& address) {
  LIKENESS_ASSIGN_OR_RETURN(auto bucket, Bucket::Open(options, alive));
  std::unique_ptr<LeafRegistry> registry(new LeafRegistry(std::move(bucket), alive, address));
  if (address.empty()) {
    LIKENESS_RETURN_IF_ERROR(registry->bucket_->List(registry->leaves_));
  } else {
    LIKENESS_RETURN_IF_ERROR(registry->bucket_->Put(address));
  }
  registry->thread_ = std::thread([self = registry.get()] { self->Follow(); });
  return registry;
}

LeafRegistry::~LeafRegistry() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  if (!address_.empty()) bucket_->Remove(address_);
}

void LeafRegistry::Follow() {
  const milliseconds pause = address_.empty() ? std::min(milliseconds(1000), alive_ / 4) : alive_ / 4;
  absl::Status last;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, pause, [&] { return closing_; })) return;
    }
    absl::Status status;
    if (address_.empty()) {
      std::vector<std::string> addresses;
      status = bucket_->List(addresses);
      if (status.ok()) {
        const std::lock_guard lock(mutex_);
        leaves_ = std::move(addresses);
      }
    } else {
      status = bucket_->Put(address_);
    }
    if (status.code() != last.code()) {
      if (status.ok()) {
        Log(LogLevel::kInfo, "leaves_known_again");
      } else {
        Log(LogLevel::kWarning, "leaves_unknown", {{"reason", MessageOf(status)}});
      }
    }
    last = status;
  }
}

std::vector<std::string> LeafRegistry::Leaves() const {
  const std::lock_guard lock(mutex_);
  return leaves_;
}

}  // namespace likeness
