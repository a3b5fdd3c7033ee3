// What a cluster promises: the bytes of one process, or the truth about what is missing.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <limits>
#include <thread>
#include <tuple>

#include "cluster/filter.h"
#include "cluster/leaf_link.h"
#include "cluster/routing.h"
#include "cluster/test_collection.h"
#include "cluster/wire.h"
#include "support/test_seed.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// All that an answer says, as bytes.
std::string BytesOf(const LeafAnswer& answer) {
  std::string bytes;
  for (const Hit& hit : answer.hits) {
    v1::Hit message;
    ToMessage(hit, message);
    bytes += message.SerializeAsString();
  }
  for (const auto number :
       {answer.stats.documents, answer.stats.scanned, answer.background.count,
        static_cast<uint64_t>(answer.background.sum), static_cast<uint64_t>(answer.background.squares)}) {
    bytes += " " + std::to_string(number);
  }
  return bytes;
}

template <typename Condition>
bool Within(milliseconds time, const Condition& condition) {
  const Deadline deadline = Deadline::After(time);
  while (!condition()) {
    if (deadline.Passed()) return false;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return true;
}

class ClusterTest : public testing::Test {
 protected:
  ClusterTest() { RecordProperty("seed", std::to_string(TestSeed())); }
  TestCollection collection_{TestSeed()};
};

TEST_F(ClusterTest, FourLeavesAnswerAsOneProcessDoesToTheBit) {
  SCOPED_TRACE("seed " + std::to_string(TestSeed()));
  const auto snapshot = collection_.Open(collection_.Add("r1", 11, 400));
  TestLeaf a(collection_, 4, 0), b(collection_, 4, 1), c(collection_, 4, 2), d(collection_, 4, 3);
  const auto remote = RemoteSearcher::Start(OptionsFor({&a, &b, &c, &d}));
  LocalSearcher local(2);
  const AllowedDocs known = collection_.MakeFilter(*snapshot);
  size_t hits = 0, verified = 0;
  for (int i = 0; i < 200; ++i) {
    const VisualQuery query = collection_.MakeQuery();
    // In turn: none, one that the leaves know already, and new ones.
    const AllowedDocs allowed = i % 3 == 0 ? AllowedDocs() : i % 3 == 1 ? known : collection_.MakeFilter(*snapshot);
    const auto expected = local.Ask(*snapshot, query, allowed);
    const auto got = remote->Ask(*snapshot, query, allowed);
    ASSERT_TRUE(expected.ok() && got.ok()) << i << " " << expected.status() << " " << got.status();
    ASSERT_EQ(BytesOf(*got), BytesOf(*expected)) << i;
    ASSERT_THAT(got->gaps, IsEmpty());
    hits += got->hits.size();
    verified += std::ranges::count_if(got->hits, [](const Hit& hit) { return hit.evidence.tokens.has_value(); });
  }
  EXPECT_GT(hits, 1000u);
  EXPECT_GT(verified, 5u) << "some are found by their keypoints";
}

TEST_F(ClusterTest, AQuestionComesBackFromItsMessageWithEveryMember) {
  for (int i = 0; i < 50; ++i) {
    VisualQuery query = collection_.MakeQuery();
    query.words = {{7, 0.25f}, {9, 1.5f}};
    query.topic = {0.5f, -1};
    query.traits.hash = kTestColor;
    query.traits.words = i % 2 == 0;
    v1::Query message, again;
    ToMessage(query, message);
    const auto read = FromMessage(message);
    ASSERT_TRUE(read.ok()) << read.status();
    ToMessage(*read, again);
    EXPECT_EQ(again.SerializeAsString(), message.SerializeAsString());
    // Where this does not compile, wire.cc does not know all members yet.
    const auto& [feature, code, wish, weights, color, words, topic, local, token_candidates, k, refine_least,
                 refine_factor, collection, effort, traits, background_below, deadline] = *read;
    EXPECT_EQ(feature, query.feature);
    EXPECT_EQ(code.code, query.code.code);
    EXPECT_EQ(code.vector, query.code.vector);
    EXPECT_EQ(code.norm, query.code.norm);
    EXPECT_EQ(wish.has_value(), query.wish.has_value());
    EXPECT_EQ(weights, query.weights);
    EXPECT_EQ(color.has_value(), query.color.has_value());
    EXPECT_EQ(words, query.words);
    EXPECT_EQ(topic, query.topic);
    ASSERT_EQ(local.has_value(), query.local.has_value());
    if (local) {
      EXPECT_EQ(std::tuple(local->feature, local->rows, local->width, local->height),
                std::tuple(query.local->feature, query.local->rows, query.local->width, query.local->height));
    }
    EXPECT_EQ(token_candidates, query.token_candidates);
    EXPECT_EQ(std::tuple(k, refine_least, refine_factor, collection, effort, background_below),
              std::tuple(query.k, query.refine_least, query.refine_factor, query.collection, query.effort,
                         query.background_below));
    EXPECT_EQ(std::tuple(traits.hash, traits.code, traits.words),
              std::tuple(query.traits.hash, query.traits.code, query.traits.words));
    EXPECT_FALSE(deadline.Passed()) << "the call has it";
  }
}

TEST_F(ClusterTest, QuestionsThatNoLeafCouldAnswerAreTheCallersFault) {
  const auto snapshot = collection_.Open(collection_.Add("r1", 4, 100));
  TestLeaf a(collection_, 1, 0);
  const auto remote = RemoteSearcher::Start(OptionsFor({&a}));
  Random random(1);
  VisualQuery query;
  query.feature = kTestDeep;
  query.code = RandomCode(random);
  query.code.vector.pop_back();
  const auto short_vector = remote->Ask(*snapshot, query, {});
  EXPECT_TRUE(absl::IsInvalidArgument(short_vector.status())) << short_vector.status();
  EXPECT_THAT(MessageOf(short_vector.status()), HasSubstr("47 components"));
  query.code = RandomCode(random);
  query.code.code.pop_back();
  EXPECT_TRUE(absl::IsInvalidArgument(remote->Ask(*snapshot, query, {}).status()));
  query.code = RandomCode(random);
  query.k = 0;
  EXPECT_THAT(MessageOf(remote->Ask(*snapshot, query, {}).status()), HasSubstr("k is 0"));
  query.k = 1'000'000'000;
  EXPECT_TRUE(absl::IsInvalidArgument(remote->Ask(*snapshot, query, {}).status()));
  query.k = 10;
  query.effort = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(MessageOf(remote->Ask(*snapshot, query, {}).status()), HasSubstr("effort"));
  query.effort = 1;
  query.wish = PlainWish{kTestColor, 0.5f, "smell", "", 10};
  EXPECT_TRUE(absl::IsInvalidArgument(remote->Ask(*snapshot, query, {}).status()));
  query.wish.reset();
  query.deadline = Deadline::After(milliseconds(0));
  const auto late = remote->Ask(*snapshot, query, {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(late.status())) << late.status();
  query.deadline = Deadline::Never();
  EXPECT_TRUE(remote->Ask(*snapshot, query, {}).ok()) << "the leaf has taken no harm";
}

TEST_F(ClusterTest, ADamagedSegmentIsRefusedAndTheAnswerSaysWhy) {
  const std::string name = collection_.Add("r1", 4, 100);
  const auto snapshot = collection_.Open(name);
  const std::string key = collection_.KeyOf(name, 2);
  const Blob whole = *collection_.store().Get(key);
  std::vector<std::byte> damaged(whole.bytes().begin(), whole.bytes().end());
  damaged[damaged.size() / 2] ^= std::byte{4};
  ASSERT_TRUE(collection_.store().Put(key, damaged).ok());
  TestLeaf a(collection_, 2, 0), b(collection_, 2, 1);
  const auto remote = RemoteSearcher::Start(OptionsFor({&a, &b}));
  const auto answer = remote->Ask(*snapshot, collection_.MakeQuery(), {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  const uint64_t lost = snapshot->segments()[2]->doc_count();
  EXPECT_EQ(answer->stats.documents, snapshot->doc_count());
  EXPECT_EQ(answer->stats.scanned, snapshot->doc_count() - lost);
  ASSERT_THAT(answer->gaps, SizeIs(1));
  EXPECT_EQ(answer->gaps[0].images, lost);
  EXPECT_THAT(answer->gaps[0].reason, HasSubstr("2026-11-22/00002"));
  EXPECT_THAT(answer->gaps[0].reason, HasSubstr(a.address()));

  // It is put right: the leaf finds out by itself.
  ASSERT_TRUE(collection_.store().Put(key, whole.bytes()).ok());
  ASSERT_TRUE(a.index().Follow().ok());
  EXPECT_TRUE(Within(milliseconds(5000), [&] {
    const auto now = remote->Ask(*snapshot, collection_.MakeQuery(), {});
    return now.ok() && now->gaps.empty() && now->stats.scanned == snapshot->doc_count();
  }));
}

TEST_F(ClusterTest, ALeafWithAnotherReleaseRefusesAndTheAnswerSaysSo) {
  collection_.Add("old", 4, 100);
  TestLeaf a(collection_, 2, 0), b(collection_, 2, 1);
  const auto snapshot = collection_.Open(collection_.Add("new", 4, 100));
  ASSERT_TRUE(b.index().Follow().ok());  // a has not seen it yet
  const auto remote = RemoteSearcher::Start(OptionsFor({&a, &b}));
  EXPECT_FALSE(remote->Ready(*snapshot)) << "a service stays with the release before";
  const auto answer = remote->Ask(*snapshot, collection_.MakeQuery(), {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_THAT(answer->gaps, SizeIs(1));
  EXPECT_THAT(answer->gaps[0].reason, HasSubstr(a.address() + " serves release old, not new"));
  EXPECT_EQ(answer->stats.scanned + answer->gaps[0].images, answer->stats.documents);

  // Asked all the same, it says what it serves.
  auto link = std::make_shared<LeafLink>(a.address(), "");
  auto sent = std::make_shared<LeafLink::Call>();
  sent->request.set_release("new");
  sent->request.add_segments(0);
  ToMessage(collection_.MakeQuery(), *sent->request.mutable_query());
  std::atomic<bool> done = false;
  link->Search(sent, [&] { done = true; });
  ASSERT_TRUE(Within(milliseconds(5000), [&] { return done.load(); }));
  EXPECT_TRUE(absl::IsFailedPrecondition(sent->status)) << sent->status;
  EXPECT_THAT(MessageOf(sent->status), HasSubstr("serves release old, not release new"));

  ASSERT_TRUE(a.index().Follow().ok());
  EXPECT_TRUE(Within(milliseconds(5000), [&] { return remote->Ready(*snapshot); }));
  EXPECT_THAT(remote->Ask(*snapshot, collection_.MakeQuery(), {})->gaps, IsEmpty());
}

TEST_F(ClusterTest, LeavesAnswerForBothReleasesUntilNobodyAsksForTheOldOne) {
  const auto before = collection_.Open(collection_.Add("old", 3, 50));
  TestLeaf a(collection_, 1, 0);
  const auto remote = RemoteSearcher::Start(OptionsFor({&a}));
  ASSERT_TRUE(remote->Ready(*before));
  const auto after = collection_.Open(collection_.Add("new", 3, 50));
  for (int i = 0; i < 60; ++i) {  // twice as long as a leaf keeps what nobody asks for
    ASSERT_TRUE(a.index().Follow().ok());
    ASSERT_TRUE(remote->Ask(*before, collection_.MakeQuery(), {}).ok()) << "the root has not moved yet";
    std::this_thread::sleep_for(milliseconds(10));
  }
  ASSERT_TRUE(remote->Ready(*after));
  EXPECT_TRUE(Within(milliseconds(5000), [&] {
    EXPECT_TRUE(a.index().Follow().ok());
    EXPECT_TRUE(remote->Ask(*after, collection_.MakeQuery(), {}).ok());
    return a.index().All().size() == 1;
  }));
}

TEST_F(ClusterTest, AReplicaTakesThePlaceOfALeafThatEnds) {
  const auto snapshot = collection_.Open(collection_.Add("r1", 4, 100));
  TestLeaf a(collection_, 1, 0);
  auto b = std::make_unique<TestLeaf>(collection_, 1, 0);
  const auto remote = RemoteSearcher::Start(OptionsFor({&a, b.get()}));
  for (int i = 0; i < 40; ++i) {
    if (i == 10) b.reset();
    const auto answer = remote->Ask(*snapshot, collection_.MakeQuery(), {});
    ASSERT_TRUE(answer.ok()) << answer.status();
    ASSERT_THAT(answer->gaps, IsEmpty());
  }
}

TEST_F(ClusterTest, ASlowLeafIsHedgedByItsReplica) {
  const auto snapshot = collection_.Open(collection_.Add("r1", 4, 100));
  TestLeaf slow(collection_, 1, 0, {.delay = milliseconds(1200)});
  TestLeaf quick(collection_, 1, 0);
  const auto remote = RemoteSearcher::Start(OptionsFor({&slow, &quick}));
  for (int i = 0; i < 30; ++i) {
    const Stopwatch watch;
    const auto answer = remote->Ask(*snapshot, collection_.MakeQuery(), {});
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_THAT(answer->gaps, IsEmpty());
    EXPECT_LT(watch.Milliseconds(), 1100) << i;
  }
  EXPECT_THAT(remote->MetricsText(), HasSubstr("likeness_hedges_total"));
}

TEST_F(ClusterTest, ALeafThatDoesNotAnswerIsAGapAfterItsPatience) {
  const auto snapshot = collection_.Open(collection_.Add("r1", 4, 100));
  TestLeaf slow(collection_, 2, 0, {.delay = milliseconds(2000)});
  TestLeaf quick(collection_, 2, 1);
  RemoteOptions options = OptionsFor({&slow, &quick});
  options.patience = milliseconds(150);
  const auto remote = RemoteSearcher::Start(options);
  const Stopwatch watch;
  const auto answer = remote->Ask(*snapshot, collection_.MakeQuery(), {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_LT(watch.Milliseconds(), 1900);
  ASSERT_THAT(answer->gaps, SizeIs(1));
  EXPECT_THAT(answer->gaps[0].reason, HasSubstr("did not answer in time"));
  EXPECT_EQ(answer->stats.scanned + answer->gaps[0].images, snapshot->doc_count());
}

TEST_F(ClusterTest, ALeafSendsBackWhatIsTooMuch) {
  const auto snapshot = collection_.Open(collection_.Add("r1", 2, 50));
  TestLeaf busy(collection_, 1, 0, {.threads = 1, .waiting = 1, .delay = milliseconds(200)});
  RemoteOptions options = OptionsFor({&busy});
  options.patience = milliseconds(3000);
  const auto remote = RemoteSearcher::Start(options);
  const VisualQuery query = collection_.MakeQuery();
  std::atomic<int> answered = 0, refused = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      const auto answer = remote->Ask(*snapshot, query, {});
      if (answer.ok()) {
        ++answered;
      } else {
        EXPECT_THAT(MessageOf(answer.status()), HasSubstr("more queries than it can answer"));
        ++refused;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(answered, 2);
  EXPECT_EQ(refused, 6);
}

TEST_F(ClusterTest, TokensMustBeTheSame) {
  const auto snapshot = collection_.Open(collection_.Add("r1", 2, 50));
  TestLeaf guarded(collection_, 1, 0, {.token = "0123456789abcdef"});
  RemoteOptions options = OptionsFor({&guarded});
  const auto stranger = RemoteSearcher::Start(options, milliseconds(300));
  const auto refused = stranger->Ask(*snapshot, collection_.MakeQuery(), {});
  EXPECT_THAT(MessageOf(refused.status()), HasSubstr("wants a token"));
  options.token = "0123456789abcdef";
  EXPECT_TRUE(RemoteSearcher::Start(options)->Ask(*snapshot, collection_.MakeQuery(), {}).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(LeafServer::Start(guarded.index(), {.host = "0.0.0.0", .port = 0}).status()));
}

TEST_F(ClusterTest, WithoutLeavesTheErrorSaysWhatToDo) {
  const auto snapshot = collection_.Open(collection_.Add("r1", 2, 50));
  RemoteOptions options;
  options.leaves = [] { return std::vector<std::string>{"127.0.0.1:1"}; };
  const auto remote = RemoteSearcher::Start(options, milliseconds(200));
  const auto answer = remote->Ask(*snapshot, collection_.MakeQuery(), {});
  EXPECT_TRUE(absl::IsUnavailable(answer.status()));
  EXPECT_THAT(MessageOf(answer.status()), HasSubstr("127.0.0.1:1 cannot be reached"));
}

// The answer of grpc.health.v1: its bytes, which are the field `status`.
std::string Health(const std::string& address) {
  grpc::GenericStub stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  grpc::CompletionQueue queue;
  grpc::ByteBuffer reply;
  grpc::Status status;
  const grpc::Slice service("\x0A\x10likeness.v1.Leaf");  // the field `service`
  const grpc::ByteBuffer request(&service, 1);
  const auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  call->StartCall();
  call->Finish(&reply, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  EXPECT_TRUE(status.ok()) << status.error_message();
  std::vector<grpc::Slice> slices;
  (void)reply.Dump(&slices);
  std::string bytes;
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

TEST_F(ClusterTest, HealthIsWhatTheLeafSays) {
  collection_.Add("r1", 1, 10);
  TestLeaf leaf(collection_, 1, 0);
  const std::string serving = "\x08\x01", not_serving = "\x08\x02";
  EXPECT_EQ(Health(leaf.address()), not_serving);
  leaf.server().SetHealthy(true);
  EXPECT_EQ(Health(leaf.address()), serving);
}

TEST(Filter, SetsComeBackAsTheyWere) {
  Random random(TestSeed());
  SCOPED_TRACE("seed " + std::to_string(TestSeed()));
  for (int i = 0; i < 300; ++i) {
    const size_t size = random.Below(i < 100 ? 70 : 3000);
    const double share = random.Below(3) == 0 ? 0.01 : random.Below(2) == 0 ? 0.99 : random.Unit();
    DocSet set(size);
    for (uint32_t doc = 0; doc < size; ++doc) {
      if (random.Unit() < share) set.Set(DocId(doc));
    }
    const std::string bytes = EncodeDocSet(set);
    EXPECT_LE(bytes.size(), 1 + 8 * set.words().size());
    const auto read = DecodeDocSet(bytes, size);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, set);
    EXPECT_EQ(DigestOf(*read), DigestOf(set));
    // Whatever else comes is refused or is a set, but never more.
    std::string odd = bytes;
    if (!odd.empty()) odd[random.Below(odd.size())] = static_cast<char>(random());
    (void)DecodeDocSet(odd, size);
    (void)DecodeDocSet(odd.substr(0, odd.size() / 2), size);
  }
  EXPECT_NE(DigestOf(DocSet(5)), DigestOf(DocSet(6)));
  EXPECT_FALSE(DecodeDocSet("", 5).ok());
  EXPECT_FALSE(DecodeDocSet("z", 5).ok());
}

// A leaf that is stopped takes connections and says nothing.
// A server that takes connections and never says a word.
class SilentServer {
 public:
  SilentServer() : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(socket_, 8), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  ~SilentServer() { close(socket_); }

  const std::string& address() const { return address_; }

 private:
  int socket_;
  std::string address_;
};

TEST(LeafLink, EndsWhatIsUnderWayBeforeItEnds) {
  const SilentServer silent;
  std::atomic<int> ended = 0;
  const auto call = std::make_shared<LeafLink::Call>();
  {
    LeafLink link(silent.address(), "");
    link.Probe("any");
    link.Search(call, [&] { ++ended; });
    std::this_thread::sleep_for(milliseconds(20));
    EXPECT_EQ(ended, 0);
  }
  EXPECT_EQ(ended, 1) << "no callback comes to those who are gone";
  EXPECT_FALSE(call->status.ok());
}

// The library's thread, were it the last to hold a channel, would wait for itself and fall.
TEST(LeafLink, TheCallbackLetsGoOfItsCallBeforeTheLinkEnds) {
  const SilentServer silent;
  for (int round = 0; round < 50; ++round) {
    auto call = std::make_shared<LeafLink::Call>();
    const std::weak_ptr<LeafLink::Call> seen = call;
    auto captured = std::make_shared<int>(round);
    const std::weak_ptr<int> kept = captured;
    {
      LeafLink link(silent.address(), "");
      link.Search(std::move(call), [captured = std::move(captured)] {});
    }
    EXPECT_TRUE(seen.expired());
    EXPECT_TRUE(kept.expired());
  }
}

TEST(Filter, TheCacheKeepsWhatWasUsedLast) {
  FilterCache cache(3 * (8 * 10 + 128));
  const auto set = std::make_shared<const DocSet>(640);
  for (uint64_t digest = 1; digest <= 3; ++digest) cache.Keep(digest, set);
  EXPECT_NE(cache.Find(1), nullptr);
  cache.Keep(4, set);
  EXPECT_EQ(cache.Find(2), nullptr);
  EXPECT_NE(cache.Find(1), nullptr);
  EXPECT_NE(cache.Find(4), nullptr);
}

TEST(ShardChoice, EveryShardIsOneLeafsAndStaysWhenDaysAreAdded) {
  const ShardId shard{*Epoch::Parse("2026-11-22"), 3};
  for (size_t place = 0; place < 20; ++place) {
    int owners = 0;
    for (size_t index = 0; index < 3; ++index) owners += ShardChoice{3, index, {}}.Has(place, shard);
    EXPECT_EQ(owners, 1);
  }
  EXPECT_TRUE((ShardChoice{3, 0, {"2026-11-22/00003"}}.Has(1, shard)));
  EXPECT_FALSE((ShardChoice{3, 1, {"2026-11-22/00004"}}.Has(1, shard)));
}

}  // namespace
}  // namespace likeness
