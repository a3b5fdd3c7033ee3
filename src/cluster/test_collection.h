// Releases of invented fingerprints in a store in memory, and leaves that serve them, for the tests of this room.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/random.h"
#include "cluster/leaf_index.h"
#include "cluster/leaf_server.h"
#include "cluster/remote_searcher.h"
#include "index/segment_writer.h"
#include "index/snapshot.h"
#include "index/token_test_data.h"
#include "kernel/half.h"
#include "object/memory_store.h"
#include "pipeline/materialise.h"
#include "pipeline/open_snapshot.h"
#include "rank/leaf.h"
#include "store/object_keys.h"
#include "store/release.h"
#include "support/scratch_folder.h"

namespace likeness {

inline constexpr uint32_t kTestBits = 128, kTestDimension = 48;
inline const FeatureKey kTestDeep{"deep.test", "0123456789ab"};
inline const FeatureKey kTestColor{"color", "0123456789ab"};

inline DeepCode RandomCode(Random& random) {
  DeepCode code{std::vector<uint64_t>(kTestBits / 64), std::vector<int8_t>(kTestDimension), 0};
  double squares = 0;
  for (int8_t& value : code.vector) {
    value = static_cast<int8_t>(static_cast<int>(random.Below(255)) - 127);
    squares += value * value;
  }
  for (uint32_t bit = 0; bit < kTestBits; ++bit) {
    code.code[bit / 64] |= static_cast<uint64_t>(code.vector[bit % kTestDimension] > 0) << (bit % 64);
  }
  code.norm = static_cast<float>(std::sqrt(squares));
  return code;
}

class TestCollection {
 public:
  explicit TestCollection(uint64_t seed) : random_(seed) {}

  MemoryStore& store() { return store_; }
  Random& random() { return random_; }

  // A release of `shards` shards of random sizes up to `most`, which becomes the current one.
  std::string Add(const std::string& name, size_t shards, size_t most) {
    Release release;
    release.name = name;
    release.created = "2026-11-22T00:00:00Z";
    release.features = {{kTestColor, ""}, {kTestDeep, name}, {kTokenTestFeature, ""}};  // each has files of its own
    for (size_t i = 0; i < shards; ++i) {
      const ShardId id{*Epoch::Parse("2026-11-22"), static_cast<uint32_t>(i)};
      const size_t count = 1 + random_.Below(most);
      release.shards.push_back({id, count});
      const std::string generation = GenerationOf(release.features);
      LIKENESS_CHECK(store_.Put(SegmentKey(generation, id), MakeSegment(count)).ok());
      LIKENESS_CHECK(store_.Put(TokensKey(generation, id), MakeTokens(count)).ok());
    }
    LIKENESS_CHECK(WriteRelease(store_, release).ok());
    Switch(name);
    return name;
  }

  void Switch(const std::string& name) { LIKENESS_CHECK(SwitchCurrent(store_, name, *ReadCurrent(store_)).ok()); }

  std::string KeyOf(const std::string& name, size_t shard) {
    const Release release = *ReadRelease(store_, name);
    return SegmentKey(GenerationOf(release.features), release.shards[shard].id);
  }

  std::shared_ptr<const Snapshot> Open(const std::string& name) {
    const Release release = *ReadRelease(store_, name);
    const std::string generation = GenerationOf(release.features);
    std::vector<std::shared_ptr<const Segment>> segments;
    std::vector<std::shared_ptr<const TokenIndex>> tokens;
    for (const Release::Shard& shard : release.shards) {
      segments.push_back(*OpenSegment(store_, generation, shard.id));
      tokens.push_back(*OpenTokens(store_, generation, shard.id, *segments.back(), token_cache_));
    }
    return std::make_shared<const Snapshot>(name, std::move(segments), std::vector<std::shared_ptr<const Segment>>(),
                                            std::move(tokens));
  }

  // Some with a color, some with a color alone, some with traits and all signals, half with keypoints of a document.
  VisualQuery MakeQuery() {
    VisualQuery query;
    query.k = 1 + random_.Below(60);
    query.refine_least = 20;
    query.refine_factor = 2;
    query.effort = static_cast<float>(0.5 + random_.Unit());
    if (random_.Below(2) == 0) query.collection = random_.Below(1000);
    const uint64_t kind = random_.Below(4);
    if (kind != 1) {
      query.feature = kTestDeep;
      query.code = RandomCode(random_);
    }
    if (kind == 1 || kind == 2) query.wish = ColorWishOf(kTestColor, 50, 60, 40, static_cast<float>(random_.Unit()));
    if (kind == 3) {
      query.traits.code = true;
      query.weights.values = {0.5f, 0.3f, 0.2f, 0.1f, 0.1f, 0.1f, 0.4f};
      query.color = PlainValue{kTestColor, Palette()};
      query.background_below = random_.Below(uint64_t{1} << 32);
    }
    if (random_.Below(2) == 0) {
      const TokenDocument& asked = documents_[random_.Below(documents_.size())];
      query.local = LocalValue{kTokenTestFeature, std::string(AsText(PackLocals(asked))), 300, 200};
      query.token_candidates = 1 + random_.Below(40);
    }
    return query;
  }

  // A set over each segment: everything, nothing, a few, most, or half.
  AllowedDocs MakeFilter(const Snapshot& snapshot) {
    AllowedDocs allowed;
    for (const auto& segment : snapshot.segments()) {
      constexpr double kShares[] = {0, 0.02, 0.5, 0.98, 1};
      const double share = kShares[random_.Below(5)];
      DocSet set(segment->doc_count());
      for (uint32_t doc = 0; doc < segment->doc_count(); ++doc) {
        if (random_.Unit() < share) set.Set(DocId(doc));
      }
      allowed.push_back(std::make_shared<const DocSet>(std::move(set)));
    }
    return allowed;
  }

 private:
  std::string Palette() {
    const float share = static_cast<float>(1 + random_.Below(254));
    const std::vector<float> rows = {50, 60, 40, share, 50, -60, 40, 255 - share};
    std::vector<uint16_t> halves(rows.size());
    FloatToHalf(rows, halves);
    return std::string(AsText(std::as_bytes(std::span(halves))));
  }

  std::vector<std::byte> MakeSegment(size_t count) {
    std::vector<Signature> signatures(count);
    for (Signature& signature : signatures) {
      for (std::byte& byte : signature.bytes) byte = std::byte(random_());
    }
    std::ranges::sort(signatures);
    SegmentWriter writer =
        *SegmentWriter::Create({{kTestDeep, {kTestBits, kTestDimension}}}, {{kTestColor, {8, true}}});
    for (const Signature& signature : signatures) {
      Fingerprint one{signature, 10, 20, {}, {}};
      if (random_.Below(9) != 0) one.deep.push_back({kTestDeep, RandomCode(random_)});
      if (random_.Below(5) != 0) one.plain.push_back({kTestColor, Palette()});
      LIKENESS_CHECK(writer.Add(one).ok());
    }
    return writer.Seal();
  }

  std::vector<std::byte> MakeTokens(size_t count) {
    const std::vector<TokenDocument> documents = MakeTokenDocuments(random_, count, 40, 500);
    for (const TokenDocument& one : documents) {
      if (one.size() > 20) documents_.push_back(one);
    }
    const std::filesystem::path path = scratch_.path() / "tokens";
    LIKENESS_CHECK(WriteTokens(path, documents).ok());
    const std::string bytes = *ReadFile(path, 1 << 26);
    std::filesystem::remove(path);
    const auto view = AsBytes(bytes);
    return {view.begin(), view.end()};
  }

  const ScratchFolder scratch_;
  MemoryStore store_;
  Random random_;
  std::vector<TokenDocument> documents_ = {{}};  // whose keypoints are asked for
  const std::shared_ptr<TokenCache> token_cache_ = std::make_shared<TokenCache>(1 << 20);
};

// A leaf in this process. Follow is called by the test.
class TestLeaf {
 public:
  TestLeaf(TestCollection& collection, size_t of, size_t index, LeafServerOptions options = {})
      : index_(collection.store(), {.choice = {.of = of, .index = index, .shards = {}},
                                    .keep = std::chrono::milliseconds(300),
                                    .again = std::chrono::milliseconds(0)}) {
    (void)index_.Follow();
    options.port = 0;
    server_ = *LeafServer::Start(index_, options);
  }
  LeafIndex& index() { return index_; }
  LeafServer& server() { return *server_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(server_->port()); }
  void Stop() { server_->Stop(); }

 private:
  LeafIndex index_;
  std::unique_ptr<LeafServer> server_;
};

inline RemoteOptions OptionsFor(const std::vector<TestLeaf*>& leaves) {
  RemoteOptions options;
  std::vector<std::string> addresses;
  for (const TestLeaf* leaf : leaves) addresses.push_back(leaf->address());
  options.leaves = [addresses] { return addresses; };
  return options;
}

}  // namespace likeness
