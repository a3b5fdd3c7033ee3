#include "cluster/leaf_server.h"

#include <grpcpp/ext/health_check_service_server_builder_option.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <leaf.grpc.pb.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "base/thread_pool.h"
#include "cluster/filter.h"
#include "cluster/rpc.h"
#include "cluster/wire.h"
#include "rank/leaf.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;

// Of what is left of a deadline, so that an answer that it cut short still arrives in time.
std::chrono::nanoseconds Reserve(std::chrono::nanoseconds left) {
  return std::min<std::chrono::nanoseconds>(left / 10, milliseconds(20));
}

bool SameSecret(std::string_view given, std::string_view secret) {
  unsigned char difference = given.size() == secret.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (given[i] ^ secret[i % secret.size()]));
  }
  return difference == 0;
}

bool IsLoopback(const std::string& host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

std::string Known(LeafIndex& index) {
  std::string names;
  for (const auto& one : index.All()) names += (names.empty() ? "" : ", ") + one->release.name;
  return names.empty() ? "no release yet" : "release " + names;
}

}  // namespace

class LeafServer::Server final : public v1::Leaf::CallbackService {
 public:
  Server(LeafIndex& index, const LeafServerOptions& options)
      : index_(index), options_(options), filters_(options.filter_bytes), pool_(std::max<size_t>(options.threads, 1)) {}

  ~Server() override { Stop(); }

  absl::Status Start() {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    const std::string host = options_.host.find(':') == std::string::npos ? options_.host : "[" + options_.host + "]";
    int bound = 0;
    builder.AddListeningPort(host + ":" + std::to_string(options_.port), grpc::InsecureServerCredentials(), &bound);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    builder.SetMaxSendMessageSize(kMaxMessageBytes);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || bound == 0) {
      server_ = nullptr;
      return absl::AlreadyExistsError("cannot listen at " + host + ":" + std::to_string(options_.port) +
                                      ": the port is taken, or the address is not of this machine; choose another");
    }
    port_ = static_cast<uint16_t>(bound);
    SetHealthy(false);
    return absl::OkStatus();
  }

  uint16_t port() const { return port_; }

  void SetHealthy(bool healthy) {
    const std::lock_guard lock(mutex_);
    if (server_ != nullptr) Say(*server_, healthy);
  }

  void Stop() {
    stopping_ = true;
    std::unique_ptr<grpc::Server> server;
    {
      const std::lock_guard lock(mutex_);
      server = std::move(server_);
    }
    if (server == nullptr) return;
    Say(*server, false);
    server->Shutdown(std::chrono::system_clock::now() + milliseconds(1000));
    server->Wait();
  }

  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context, const v1::DescribeRequest* request,
                                     v1::DescribeReply* reply) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (const absl::Status status = CheckToken(*context); !status.ok()) {
      reactor->Finish(ToGrpc(status));
      return reactor;
    }
    if (!request->release().empty()) index_.Find(request->release());  // that root keeps it here
    for (const auto& one : index_.All()) {
      v1::DescribeReply::Release& release = *reply->add_releases();
      release.set_name(one->release.name);
      for (size_t i = 0; i < one->shards.size(); ++i) {
        if (one->shards[i].open()) release.add_segments(static_cast<uint32_t>(i));
      }
      for (const std::string& problem : one->problems) release.add_problems(problem);
    }
    reply->set_version(LIKENESS_VERSION);
    reply->set_waiting(waiting_);
    reply->set_searched(searched_);
    reply->set_refused(refused_);
    reply->set_late(late_);
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerUnaryReactor* Search(grpc::CallbackServerContext* context, const v1::SearchRequest* request,
                                   v1::SearchReply* reply) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (const absl::Status status = CheckToken(*context); !status.ok()) {
      reactor->Finish(ToGrpc(status));
      return reactor;
    }
    if (stopping_) {
      reactor->Finish(ToGrpc(absl::UnavailableError("this leaf is being stopped")));
      return reactor;
    }
    if (waiting_.fetch_add(1) >= pool_.size() + options_.waiting) {
      --waiting_;
      ++refused_;
      reactor->Finish(
          ToGrpc(absl::ResourceExhaustedError("this leaf has more queries than it can answer: ask another, or later")));
      return reactor;
    }
    pool_.Submit([=, this] {
      absl::Status status;
      try {
        status = Answer(*context, *request, *reply);
      } catch (const std::exception& error) {  // no memory
        status = absl::InternalError(error.what());
      }
      --waiting_;
      reactor->Finish(ToGrpc(status));
    });
    return reactor;
  }

 private:
  static void Say(grpc::Server& server, bool healthy) {
    if (auto* health = server.GetHealthCheckService(); health != nullptr) {
      health->SetServingStatus("likeness.v1.Leaf", healthy);
      health->SetServingStatus(healthy);
    }
  }

  absl::Status CheckToken(const grpc::CallbackServerContext& context) const {
    if (options_.token.empty()) return absl::OkStatus();
    const auto given = context.client_metadata().find("authorization");
    const std::string want = "Bearer " + options_.token;
    if (given != context.client_metadata().end() && SameSecret({given->second.data(), given->second.size()}, want)) {
      return absl::OkStatus();
    }
    return absl::UnauthenticatedError("this leaf wants a token: set [cluster] token_file to the same on both sides");
  }

  absl::Status Answer(const grpc::CallbackServerContext& context, const v1::SearchRequest& request,
                      v1::SearchReply& reply) {
    if (options_.delay.count() > 0) std::this_thread::sleep_for(options_.delay);
    const auto left = TimeLeft(context.deadline());
    if (left.count() <= 0) {
      ++late_;
      return absl::DeadlineExceededError("the deadline had passed before the search began");
    }
    if (context.IsCancelled()) return absl::CancelledError("nobody waits for the answer");
    LIKENESS_ASSIGN_OR_RETURN(VisualQuery query, FromMessage(request.query()));
    query.deadline =
        left == std::chrono::nanoseconds::max() ? Deadline::Never() : Deadline::After(left - Reserve(left));

    const std::shared_ptr<const LeafRelease> release = index_.Find(request.release());
    if (release == nullptr) {
      return absl::FailedPreconditionError("this leaf serves " + Known(index_) + ", not release " + request.release());
    }
    std::vector<std::shared_ptr<const Segment>> segments, metadata;
    std::vector<std::shared_ptr<const TokenIndex>> tokens;
    for (const uint32_t place : request.segments()) {
      if (place >= release->shards.size() || !release->shards[place].open()) {
        return absl::FailedPreconditionError("this leaf does not serve segment " + std::to_string(place) +
                                             " of release " + request.release());
      }
      segments.push_back(release->shards[place].segment);
      metadata.push_back(release->shards[place].metadata);
      tokens.push_back(release->shards[place].tokens);
    }
    LIKENESS_ASSIGN_OR_RETURN(const AllowedDocs allowed, Allowed(request, segments, reply));
    if (reply.unknown_size() > 0) return absl::OkStatus();
    const Snapshot snapshot(request.release(), std::move(segments), std::move(metadata), std::move(tokens));
    LIKENESS_ASSIGN_OR_RETURN(const LeafAnswer answer, AnswerLeaf(snapshot, query, allowed, 1));
    for (const Hit& hit : answer.hits) ToMessage(hit, *reply.add_hits());
    reply.set_scanned(answer.stats.scanned);
    reply.set_documents(answer.stats.documents);
    reply.set_compared(answer.stats.compared);
    reply.set_background_count(answer.background.count);
    reply.set_background_sum(answer.background.sum);
    reply.set_background_squares(answer.background.squares);
    ++searched_;
    return absl::OkStatus();
  }

  // Those filters of which neither the message nor the cache has the set are named in the reply.
  absl::StatusOr<AllowedDocs> Allowed(const v1::SearchRequest& request,
                                      const std::vector<std::shared_ptr<const Segment>>& segments,
                                      v1::SearchReply& reply) {
    AllowedDocs allowed;
    if (request.filters_size() == 0) return allowed;
    allowed.resize(segments.size());
    for (const v1::Filter& filter : request.filters()) {
      const auto place = std::ranges::find(request.segments(), filter.segment());
      if (place == request.segments().end()) {
        return absl::InvalidArgumentError("a filter is of segment " + std::to_string(filter.segment()) +
                                          ", which is not asked");
      }
      const auto i = static_cast<size_t>(place - request.segments().begin());
      std::shared_ptr<const DocSet> set;
      if (!filter.body().empty()) {
        LIKENESS_ASSIGN_OR_RETURN(DocSet read, DecodeDocSet(filter.body(), segments[i]->doc_count()));
        if (DigestOf(read) != filter.digest()) {
          return absl::InvalidArgumentError("a filter is not the one that its digest names");
        }
        set = std::make_shared<const DocSet>(std::move(read));
        filters_.Keep(filter.digest(), set);
      } else {
        set = filters_.Find(filter.digest());
      }
      if (set != nullptr && set->size() != segments[i]->doc_count()) {
        return absl::InvalidArgumentError("a filter has " + std::to_string(set->size()) + " documents, its segment " +
                                          std::to_string(segments[i]->doc_count()));
      }
      if (set == nullptr) reply.add_unknown(filter.segment());
      allowed[i] = std::move(set);
    }
    return allowed;
  }

  LeafIndex& index_;
  const LeafServerOptions options_;
  FilterCache filters_;
  std::atomic<bool> stopping_ = false;
  std::atomic<uint64_t> waiting_ = 0, searched_ = 0, refused_ = 0, late_ = 0;
  uint16_t port_ = 0;
  ThreadPool pool_;  // ends before what its tasks use
  std::mutex mutex_;
  std::unique_ptr<grpc::Server> server_;  // guarded by mutex_; null once stopped
};

LeafServer::LeafServer(std::unique_ptr<Server> server) : server_(std::move(server)) {}
LeafServer::~LeafServer() = default;

absl::StatusOr<std::unique_ptr<LeafServer>> LeafServer::Start(LeafIndex& index, const LeafServerOptions& options) {
  if (options.token.empty() && !IsLoopback(options.host)) {
    return absl::FailedPreconditionError("listening at " + options.host +
                                         " needs a token: set [cluster] token_file in likeness.toml");
  }
  auto server = std::make_unique<Server>(index, options);
  LIKENESS_RETURN_IF_ERROR(server->Start());
  return std::unique_ptr<LeafServer>(new LeafServer(std::move(server)));
}

uint16_t LeafServer::port() const { return server_->port(); }
void LeafServer::SetHealthy(bool healthy) { server_->SetHealthy(healthy); }
void LeafServer::Stop() { server_->Stop(); }

}  // namespace likeness
