// Keys and releases: what is built is parsed, everything else is refused, and one switch wins.
#include "store/release.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "object/faulty_store.h"
#include "object/memory_store.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

const ShardId kShard{*Epoch::Parse("2026-11-22"), 3};
const FeatureKey kFeature{"deep.efficientnet_lite2", "3f9a1c0d2b4e"};

TEST(ObjectKey, EveryKeyIsAKeyAndParsesBack) {
  const std::pair<std::string, std::string> keys[] = {
      {ImageKey(Signature::Of(AsBytes("abc"))), "images/90/900150983cd24fb0d6963f7d28e17f72"},
      {EpochListKey(kShard), "epochs/2026-11-22/00003"},
      {FeatureShardKey(kFeature, kShard), "features/deep.efficientnet_lite2/3f9a1c0d2b4e/2026-11-22/00003"},
      {FeaturePartKey(kFeature, kShard, 12), "features/deep.efficientnet_lite2/3f9a1c0d2b4e/2026-11-22/00003.part12"},
      {FingerprintKey("r-1", kShard), "fingerprints/r-1/2026-11-22/00003.sst"},
      {SegmentKey("r-1", kShard), "indexes/r-1/2026-11-22/00003/segment"},
      {TokensKey("r-1", kShard), "indexes/r-1/2026-11-22/00003/tokens"},
      {ReleaseKey("r-1"), "releases/r-1"},
      {BinarizerKey("deep.x", "00ff"), "binarizers/deep.x/00ff"},
      {std::string(kCurrentKey), "CURRENT"},
  };
  for (const auto& [key, text] : keys) {
    EXPECT_EQ(key, text);
    EXPECT_TRUE(CheckObjectKey(key).ok()) << key;
    const auto parsed = ObjectKey::Parse(key);
    ASSERT_TRUE(parsed) << key;
    EXPECT_EQ(parsed->ToString(), key);
  }
  EXPECT_EQ(ObjectKey::Parse(keys[3].first)->part, 12u);
  EXPECT_EQ(ObjectKey::Parse(keys[2].first)->feature, kFeature);
  EXPECT_EQ(ObjectKey::Parse(keys[5].first)->shard, kShard);
  EXPECT_TRUE(keys[3].first.starts_with(FeaturePartPrefix(kFeature, kShard)));
  EXPECT_FALSE(keys[2].first.starts_with(FeaturePartPrefix(kFeature, kShard)));
}

TEST(ObjectKey, RefusesEverythingElse) {
  for (const char* key : {"",
                          "/",
                          "images",
                          "images/91/900150983cd24fb0d6963f7d28e17f72",
                          "images/90/900150983CD24FB0D6963F7D28E17F72",
                          "epochs/2026-11-22/3",
                          "epochs/2026-11-22/00003/",
                          "epochs/2026-02-30/00003",
                          "features/deep.x/1/2026-11-22",
                          "features/deep.x/1/2026-11-22/00003.part",
                          "features/deep.x/1/2026-11-22/00003.part01",
                          "features/deep.x/1/2026-11-22/00003.part-1",
                          "features/Deep/1/2026-11-22/00003",
                          "features/deep.x/1/2026-11-22/99999999999",
                          "fingerprints/r/2026-11-22/00003",
                          "fingerprints/R/2026-11-22/00003.sst",
                          "indexes/r/2026-11-22/00003/other",
                          "releases/",
                          "releases/../x",
                          "releases/.x",
                          "current",
                          "CURRENT/"}) {
    EXPECT_FALSE(ObjectKey::Parse(key)) << key;
  }
}

Release Sample(std::string name = "2026-11-22-a1b2") {
  return {std::move(name),
          "2026-11-22T08:00:00Z",
          {{kFeature, "00ff00ff"}, {{"local", "1"}, ""}},
          {{kShard, 200'000}, {{kShard.epoch, 4}, 17}}};
}

TEST(Release, WhatIsWrittenIsParsed) {
  const std::string text = *FormatRelease(Sample());
  EXPECT_EQ(*ParseRelease(text), Sample());
  EXPECT_EQ(*FormatRelease(*ParseRelease(text)), text);
  EXPECT_EQ(Sample().images(), 200'017u);
}

TEST(Release, BrokenPromisesAreRefused) {
  const auto code = [](auto change) {
    Release release = Sample();
    change(release);
    return FormatRelease(release).status().code();
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code([](Release& r) { r.name = "../x"; }), invalid);
  EXPECT_EQ(code([](Release& r) { std::swap(r.features[0], r.features[1]); }), invalid);
  EXPECT_EQ(code([](Release& r) { r.shards[1] = r.shards[0]; }), invalid);
  EXPECT_EQ(code([](Release& r) { r.features[0].key.version = "A/"; }), invalid);

  const std::string good = *FormatRelease(Sample());
  const auto parsed = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return ParseRelease(text).status().code();
  };
  EXPECT_EQ(parsed("\"format_version\": 1", "\"format_version\": 2"), absl::StatusCode::kUnimplemented);
  for (const auto& [from, to] : std::initializer_list<std::pair<const char*, const char*>>{
           {"\"format_version\": 1", "\"format_version\": \"1\""},
           {"likeness.release", "likeness.current"},
           {"\"shard\": 3", "\"shard\": 4294967299"},
           {"\"shard\": 3", "\"shard\": -3"},
           {"\"images\": 17", "\"images\": 1.5"},
           {"2026-11-22\",\n   \"shard\"", "2026-11-32\",\n   \"shard\""},
           {"\"name\": ", "\"nome\": "},
           {"\"features\": [", "\"features\": [1,"},
           {"{", "[{"}}) {
    EXPECT_EQ(parsed(from, to), absl::StatusCode::kDataLoss) << from << " -> " << to;
  }
  for (size_t size = 0; size + 2 < good.size(); ++size) {
    EXPECT_EQ(ParseRelease(std::string_view(good).substr(0, size)).status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST(Release, OneSwitchWins) {
  MemoryStore store;
  EXPECT_FALSE(ReadCurrent(store)->has_value());
  EXPECT_EQ(SwitchCurrent(store, "a", std::nullopt).code(), absl::StatusCode::kNotFound);
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_TRUE(WriteRelease(store, Sample(name)).ok());
    EXPECT_TRUE(WriteRelease(store, Sample(name)).ok()) << "written again after a lost answer";
  }
  Release other = Sample("a");
  other.created = "later";
  EXPECT_EQ(WriteRelease(store, other).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(*ReadRelease(store, "b"), Sample("b"));
  EXPECT_EQ(ReadRelease(store, "z").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadRelease(store, "../x").status().code(), absl::StatusCode::kNotFound);

  ASSERT_TRUE(SwitchCurrent(store, "a", std::nullopt).ok());
  EXPECT_EQ(SwitchCurrent(store, "b", std::nullopt).code(), absl::StatusCode::kFailedPrecondition);
  const std::optional<CurrentRelease> seen = *ReadCurrent(store);
  EXPECT_EQ(seen->name, "a");
  ASSERT_TRUE(SwitchCurrent(store, "b", seen).ok());
  EXPECT_EQ(SwitchCurrent(store, "c", seen).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ((*ReadCurrent(store))->name, "b");
  EXPECT_EQ((*ReadCurrent(store))->previous, "a");
  ASSERT_TRUE(store.Put(kCurrentKey, AsBytes("{}")).ok());
  EXPECT_EQ(ReadCurrent(store).status().code(), absl::StatusCode::kDataLoss);
}

TEST(Release, WhatIsBeingRemovedCannotBecomeCurrent) {
  MemoryStore store;
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(WriteRelease(store, Sample(name)).ok());
  ASSERT_TRUE(SwitchCurrent(store, "a", std::nullopt).ok());
  const std::optional<CurrentRelease> before = *ReadCurrent(store);
  ASSERT_TRUE(MarkRemoving(store, *before, {"b"}).ok());
  EXPECT_EQ(SwitchCurrent(store, "b", before).code(), absl::StatusCode::kFailedPrecondition) << "it began before";
  const std::optional<CurrentRelease> marked = *ReadCurrent(store);
  EXPECT_EQ(marked->name, "a");
  EXPECT_EQ(SwitchCurrent(store, "b", marked).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(SwitchCurrent(store, "c", marked).ok());
  EXPECT_EQ((*ReadCurrent(store))->removing, std::vector<std::string>{"b"}) << "a switch forgets nothing";
  EXPECT_EQ(MarkRemoving(store, *marked, {}).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(MarkRemoving(store, **ReadCurrent(store), {}).ok());
  EXPECT_TRUE(SwitchCurrent(store, "b", *ReadCurrent(store)).ok());
  EXPECT_EQ((*ReadCurrent(store))->previous, "c");
}

TEST(Release, CurrentIsReadAsItWasWrittenAndAsItWasBefore) {
  const CurrentRelease full{"b", "a", {"x", "y"}, ""};
  const CurrentRelease read = *ParseCurrent(FormatCurrent(full));
  EXPECT_EQ(read.name, "b");
  EXPECT_EQ(read.previous, "a");
  EXPECT_EQ(read.removing, full.removing);
  const std::string old = "{\"format\":\"likeness.current\",\"format_version\":1,\"release\":\"a\"";
  EXPECT_EQ(ParseCurrent(old + "}")->previous, "");
  for (const char* more : {",\"previous\":1}", ",\"previous\":\"/\"}", ",\"removing\":\"a\"}", ",\"removing\":[1]}"}) {
    EXPECT_EQ(ParseCurrent(old + more).status().code(), absl::StatusCode::kDataLoss) << more;
  }
}

}  // namespace
}  // namespace likeness
