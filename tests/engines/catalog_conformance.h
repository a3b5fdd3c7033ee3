// What the catalog promises, of whatever engine: nothing is recorded by half, the same bytes are one image, a shard is
// the same for ever, and filters find what they say. Each engine's test instantiates the suite with a way to open it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "catalog/catalog.h"

namespace likeness {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// How a test opens catalogs.
struct CatalogEngine {
  std::string name;
  std::function<void()> clear;                                          // from now on there is nothing in it
  std::function<absl::StatusOr<std::unique_ptr<Catalog>>()> open;       // the same one, again
  std::function<std::string()> missing = [] { return std::string(); };  // why it cannot be tested here
};
inline void PrintTo(const CatalogEngine& engine, std::ostream* out) { *out << engine.name; }

inline Epoch Day(std::string_view text = "2026-11-22") { return *Epoch::Parse(text); }
inline Signature Of(std::string_view text) { return Signature::Of(AsBytes(text)); }

inline Addition File(const std::string& path, std::string_view content, const std::string& board = "b",
                     const std::string& description = "", std::string_view day = "2026-11-22") {
  const Signature signature = Of(content);
  Addition addition;
  addition.source = {path, content.size(), 1, signature, ""};
  addition.image = ImageRecord{signature, "jpeg", content.size(), 4, 3, Day(day), std::nullopt, "file:" + path, ""};
  addition.pin = Pin{path, signature, board, "Board " + board, "", description, "", ""};
  return addition;
}

class CatalogConformance : public testing::TestWithParam<CatalogEngine> {
 protected:
  void SetUp() override {
    if (const std::string missing = GetParam().missing(); !missing.empty()) GTEST_SKIP() << missing;
    GetParam().clear();
    auto catalog = GetParam().open();
    ASSERT_TRUE(catalog.ok()) << catalog.status();
    catalog_ = *std::move(catalog);
  }

  std::unique_ptr<Catalog> catalog_;
};

TEST_P(CatalogConformance, ARemovedImageStaysOutWhateverAddFindsUntilItIsRevived) {
  const std::vector<Addition> additions = {File("a.jpg", "one"), File("b.jpg", "two", "other", "words")};
  ASSERT_TRUE(catalog_->Record(additions).ok());
  const uint64_t changes = *catalog_->HiddenChanges();
  EXPECT_FALSE(*catalog_->Remove(Of("three")));
  EXPECT_TRUE(*catalog_->Remove(Of("two")));
  EXPECT_FALSE(*catalog_->Remove(Of("two"))) << "it is removed already";
  EXPECT_GT(*catalog_->HiddenChanges(), changes);
  ASSERT_TRUE(catalog_->Record(additions).ok()) << "the file is still there";
  EXPECT_THAT(*catalog_->Removed(), ElementsAre(Of("two")));
  EXPECT_TRUE((*catalog_->Image(Of("two")))->removed);
  EXPECT_FALSE((*catalog_->Image(Of("one")))->removed);
  EXPECT_EQ(catalog_->Counts()->images, 1u);
  EXPECT_EQ(catalog_->Counts()->pins, 1u);
  EXPECT_EQ(catalog_->Counts()->quarantined, 0u);
  EXPECT_THAT(*catalog_->Quarantine(10), IsEmpty());
  EXPECT_THAT(*catalog_->Boards(), SizeIs(1));
  EXPECT_THAT(*catalog_->Match({"other", ""}), IsEmpty());
  ASSERT_TRUE(catalog_->Sources(std::vector<std::string>{"b.jpg"})->front()) << "known, and not read again";
  std::vector<ShardRecord> shards = *catalog_->CutShards(10);
  ASSERT_THAT(shards, SizeIs(1));
  EXPECT_THAT(*catalog_->ShardSignatures(shards[0].id), ElementsAre(Of("one"))) << "nothing is computed for it";

  Addition again = File("", "two");
  again.source = {};
  again.image->location = "object:images/" + Of("two").Hex();
  again.revive = true;
  ASSERT_TRUE(catalog_->Record({&again, 1}).ok());
  EXPECT_THAT(*catalog_->Removed(), IsEmpty());
  EXPECT_EQ(catalog_->Counts()->images, 2u);
  EXPECT_EQ((*catalog_->Image(Of("two")))->location, again.image->location);
  shards = *catalog_->CutShards(10);
  ASSERT_THAT(shards, SizeIs(1));
  EXPECT_THAT(*catalog_->ShardSignatures(shards[0].id), ElementsAre(Of("two")));
  // One of a shard keeps its place in it.
  EXPECT_TRUE(*catalog_->Remove(Of("two")));
  EXPECT_EQ(catalog_->Counts()->images, 1u);
  EXPECT_THAT(*catalog_->ShardSignatures(shards[0].id), ElementsAre(Of("two")));
  ASSERT_TRUE(catalog_->Record({&again, 1}).ok());
  EXPECT_EQ((*catalog_->Image(Of("two")))->shard, shards[0].id.shard);
  EXPECT_EQ(catalog_->Counts()->images, 2u);
}

TEST_P(CatalogConformance, TheSameBytesTwiceAreOneImageWithTwoPins) {
  const Addition additions[] = {File("a.jpg", "one"), File("copy.jpg", "one"), File("b.jpg", "two")};
  ASSERT_TRUE(catalog_->Record(additions).ok());
  const CatalogCounts counts = *catalog_->Counts();
  EXPECT_EQ(counts.images, 2u);
  EXPECT_EQ(counts.pins, 3u);
  EXPECT_THAT(*catalog_->Pins(std::vector{Of("one")}), SizeIs(2));
  EXPECT_EQ((*catalog_->Image(Of("one")))->location, "file:a.jpg");
  EXPECT_FALSE(*catalog_->Image(Of("three")));
  const std::vector<Signature> asked = {Of("two"), Of("three"), Of("one")};
  EXPECT_THAT(*catalog_->Images(asked), ElementsAre(testing::Field(&ImageRecord::signature, Of("two")),
                                                    testing::Field(&ImageRecord::signature, Of("one"))));
  EXPECT_THAT(*catalog_->Pins(asked), SizeIs(3));
}

TEST_P(CatalogConformance, RemembersWhatItLookedAt) {
  const Addition additions[] = {File("a.jpg", "one")};
  ASSERT_TRUE(catalog_->Record(additions).ok());
  const auto sources = *catalog_->Sources(std::vector<std::string>{"a.jpg", "unknown.jpg"});
  ASSERT_TRUE(sources[0]);
  EXPECT_EQ(sources[0]->signature, Of("one"));
  EXPECT_FALSE(sources[1]);
  const auto digests = *catalog_->PinDigests(std::vector<std::string>{"unknown", "a.jpg"});
  EXPECT_FALSE(digests[0]);
  EXPECT_EQ(digests[1], PinDigest(*additions[0].pin));
}

TEST_P(CatalogConformance, AFileWithNewBytesLeavesTheOldImageUnpinned) {
  ASSERT_TRUE(catalog_->Record(std::vector{File("a.jpg", "one")}).ok());
  EXPECT_THAT(*catalog_->Unpinned(), IsEmpty());
  ASSERT_TRUE(catalog_->Record(std::vector{File("a.jpg", "two")}).ok());
  EXPECT_THAT(*catalog_->Unpinned(), ElementsAre(Of("one")));
  ASSERT_TRUE(catalog_->Record(std::vector{File("back.jpg", "one")}).ok());
  EXPECT_THAT(*catalog_->Unpinned(), IsEmpty());
  EXPECT_THAT(*catalog_->Paths(Of("one")), ElementsAre("back.jpg")) << "its old file holds other bytes now";
}

TEST_P(CatalogConformance, FilterTakesWordBeginningsBoardAndBoth) {
  ASSERT_TRUE(catalog_
                  ->Record(std::vector{File("a", "one", "x", "Red summer dress, size 8"),
                                       File("b", "two", "y", "RED shoes"), File("c", "three", "y", "blue Überzieher")})
                  .ok());
  const auto match = [&](const std::string& board, const std::string& text) { return *catalog_->Match({board, text}); };
  EXPECT_THAT(match("", "red"), testing::UnorderedElementsAre(Of("one"), Of("two")));
  EXPECT_THAT(match("y", "red"), ElementsAre(Of("two")));
  EXPECT_THAT(match("", "dres red"), ElementsAre(Of("one")));
  EXPECT_THAT(match("", "ÜBER"), ElementsAre(Of("three")));
  EXPECT_THAT(match("y", ""), SizeIs(2));
  EXPECT_THAT(match("", "ress"), IsEmpty()) << "not the beginning of a word";
  EXPECT_THAT(match("", "%"), IsEmpty());
  EXPECT_THAT(match("", "' OR 1=1 --"), IsEmpty());
}

TEST_P(CatalogConformance, QuarantineListsSourcesWithReasons) {
  Addition refused;
  refused.source = {"empty.jpg", 0, 1, std::nullopt, "the file is empty"};
  ASSERT_TRUE(catalog_->Record(std::vector{File("a.jpg", "one"), refused}).ok());
  ASSERT_TRUE(catalog_->QuarantineImage(Of("one"), "cut off").ok());
  const auto quarantine = *catalog_->Quarantine(100);
  ASSERT_THAT(quarantine, SizeIs(2));
  EXPECT_EQ(quarantine[0].source, "a.jpg");
  EXPECT_EQ(quarantine[0].reason, "cut off");
  EXPECT_EQ(quarantine[1].source, "empty.jpg");
  const CatalogCounts counts = *catalog_->Counts();
  EXPECT_EQ(counts.images, 0u);
  EXPECT_EQ(counts.quarantined, 2u);
}

TEST_P(CatalogConformance, ARefusedPictureMayBeLookedAtAgain) {
  Addition refused = File("a.jpg", "one");
  refused.image->reason = "too large";
  ASSERT_TRUE(catalog_->Record(std::vector{refused}).ok());
  EXPECT_EQ(catalog_->Counts()->images, 0u);
  ASSERT_TRUE(catalog_->Record(std::vector{File("a.jpg", "one")}).ok());
  EXPECT_EQ(catalog_->Counts()->images, 1u);
  EXPECT_EQ((*catalog_->Image(Of("one")))->reason, "");
}

TEST_P(CatalogConformance, APictureThatWasGoneComesBackIntoANewShard) {
  ASSERT_TRUE(catalog_->Record(std::vector{File("a.jpg", "one"), File("b.jpg", "two")}).ok());
  ASSERT_THAT(*catalog_->CutShards(10), SizeIs(1));
  const auto members = *catalog_->ShardSignatures({Day(), 0});
  ASSERT_EQ(catalog_->QuarantineImage(Of("one"), ImageFault{.reason = "its file is gone", .gone = true}),
            absl::OkStatus());
  ASSERT_EQ(catalog_->QuarantineImage(Of("two"), ImageFault{.reason = "cut off", .attempts = 3}), absl::OkStatus());
  EXPECT_EQ((*catalog_->Quarantine(9))[1].attempts, 3u);
  const auto sources = *catalog_->Sources(std::vector<std::string>{"a.jpg", "b.jpg"});
  EXPECT_FALSE(sources[0]) << "so that the file is read again, should it be there";
  EXPECT_TRUE(sources[1]);

  ASSERT_EQ(catalog_->Record(std::vector{File("back.jpg", "one"), File("again.jpg", "two")}), absl::OkStatus());
  EXPECT_EQ((*catalog_->Image(Of("one")))->reason, "");
  EXPECT_EQ((*catalog_->Image(Of("one")))->shard, std::nullopt);
  EXPECT_EQ((*catalog_->Image(Of("two")))->reason, "cut off") << "its bytes are at fault";
  EXPECT_THAT(*catalog_->Pins(std::vector{Of("one")}), SizeIs(2));
  EXPECT_EQ(catalog_->Counts()->images, 1u);
  EXPECT_EQ(catalog_->Counts()->quarantined, 1u);

  ASSERT_THAT(*catalog_->CutShards(10), ElementsAre(testing::Field(&ShardRecord::images, 1u)));
  EXPECT_THAT(*catalog_->ShardSignatures({Day(), 1}), ElementsAre(Of("one")));
  EXPECT_EQ((*catalog_->Image(Of("one")))->shard, 1u);
  EXPECT_EQ(*catalog_->ShardSignatures({Day(), 0}), members) << "what a shard was made of never changes";
  const auto images = *catalog_->ShardImages({Day(), 0}, members);
  ASSERT_THAT(images, SizeIs(2));
  EXPECT_TRUE(std::ranges::equal(images, members, {}, &ImageRecord::signature));
  for (const ImageRecord& image : images) EXPECT_NE(image.reason, "") << "it is computed in its new shard alone";
}

TEST_P(CatalogConformance, AnImageInQuarantineBeforeItGotAShardGetsNone) {
  ASSERT_TRUE(catalog_->Record(std::vector{File("a", "one"), File("b", "two")}).ok());
  ASSERT_TRUE(catalog_->QuarantineImage(Of("one"), "cut off").ok());
  ASSERT_THAT(*catalog_->CutShards(10), SizeIs(1));
  EXPECT_THAT(*catalog_->ShardSignatures({Day(), 0}), ElementsAre(Of("two")));
  EXPECT_EQ((*catalog_->Image(Of("one")))->shard, std::nullopt);
  EXPECT_EQ((*catalog_->Image(Of("one")))->reason, "cut off");
  EXPECT_TRUE(catalog_->QuarantineImage(Of("unknown"), "whatever").ok());
}

TEST_P(CatalogConformance, ShardsAreMadeOnceAndWhole) {
  std::vector<Addition> additions;
  for (int i = 0; i < 10; ++i) additions.push_back(File("f" + std::to_string(i), std::to_string(i)));
  // A clock that jumped: a day in the middle of another.
  additions.insert(additions.begin() + 5, File("old", "old", "b", "", "2026-11-21"));
  ASSERT_EQ(catalog_->Record(additions), absl::OkStatus());
  EXPECT_FALSE(catalog_->CutShards(0).ok());
  const auto cut = *catalog_->CutShards(4);
  ASSERT_THAT(cut, SizeIs(4));
  EXPECT_THAT(*catalog_->CutShards(4), IsEmpty());
  std::set<Signature> seen;
  const auto shards = *catalog_->Shards();
  for (const ShardRecord& shard : shards) {
    const auto signatures = *catalog_->ShardSignatures(shard.id);
    EXPECT_EQ(signatures.size(), shard.images);
    EXPECT_LE(shard.images, 4u);
    EXPECT_TRUE(std::ranges::is_sorted(signatures));
    seen.insert(signatures.begin(), signatures.end());
    const auto images = *catalog_->ShardImages(shard.id, signatures);
    EXPECT_TRUE(std::ranges::equal(images, signatures, {}, &ImageRecord::signature));
    for (const ImageRecord& image : images) EXPECT_EQ((ShardId{image.epoch, *image.shard}), shard.id);
  }
  EXPECT_THAT(seen, SizeIs(11));
  EXPECT_THAT(*catalog_->ShardSignatures({Day("2026-11-21"), 0}), ElementsAre(Of("old")));
  EXPECT_THAT(*catalog_->ShardSignatures({Day(), 77}), IsEmpty());
  ASSERT_TRUE(catalog_->Record(std::vector{File("later", "later")}).ok());
  EXPECT_THAT(*catalog_->CutShards(4), ElementsAre(testing::Field(&ShardRecord::id, ShardId{Day(), 3})));
}

TEST_P(CatalogConformance, WritersAndPlannersAtOnceLoseAndDoubleNothing) {
  constexpr int kWriters = 3, kBatches = 12, kBatch = 20;
  std::atomic<int> writing{kWriters};
  std::vector<std::thread> threads;
  for (int w = 0; w < kWriters; ++w) {
    threads.emplace_back([&, w] {
      const auto catalog = *GetParam().open();
      for (int b = 0; b < kBatches; ++b) {
        std::vector<Addition> additions;
        for (int i = 0; i < kBatch; ++i) {
          // Two thirds of what a writer brings the others bring too, in another order.
          const int content = i % 3 == 0 ? 100'000 * (w + 1) + b * kBatch + i : b * kBatch + (w == 1 ? kBatch - i : i);
          additions.push_back(File(std::to_string(w) + "/" + std::to_string(b * kBatch + i), std::to_string(content)));
        }
        EXPECT_EQ(catalog->Record(additions), absl::OkStatus());
      }
      --writing;
    });
  }
  for (int p = 0; p < 2; ++p) {
    threads.emplace_back([&] {
      const auto catalog = *GetParam().open();
      while (writing > 0) {
        EXPECT_EQ(catalog->CutShards(50).status(), absl::OkStatus());
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(catalog_->CutShards(50).ok());
  const CatalogCounts counts = *catalog_->Counts();
  EXPECT_EQ(counts.pins, static_cast<uint64_t>(kWriters * kBatches * kBatch));
  std::vector<Signature> all;
  const auto shards = *catalog_->Shards();
  for (const ShardRecord& shard : shards) {
    const auto signatures = *catalog_->ShardSignatures(shard.id);
    EXPECT_EQ(signatures.size(), shard.images);
    all.insert(all.end(), signatures.begin(), signatures.end());
  }
  EXPECT_EQ(all.size(), counts.images);
  EXPECT_THAT(std::set<Signature>(all.begin(), all.end()), SizeIs(all.size()));
}

TEST_P(CatalogConformance, NamesAndWordsMayBeAnyBytes) {
  const std::string path = std::string("/p\xff\xfe/na\xc3me ' \" \\ :x \xf4\x8f\xbf\xbf.jpg");
  Addition addition = File(path, "one", "\xed\xa0\x80", std::string("a\0b \xe2\x82", 6));
  ASSERT_EQ(catalog_->Record(std::vector{addition}), absl::OkStatus());
  EXPECT_THAT(*catalog_->Paths(Of("one")), ElementsAre(path));
  EXPECT_EQ((*catalog_->Image(Of("one")))->location, "file:" + path);
  ASSERT_TRUE((*catalog_->Sources(std::vector{path}))[0]);
  const Pin pin = (*catalog_->Pins(std::vector{Of("one")}))[0];
  EXPECT_EQ(PinDigest(pin), PinDigest(*addition.pin));
  EXPECT_EQ((*catalog_->PinDigests(std::vector{path}))[0], PinDigest(pin));
  EXPECT_THAT(*catalog_->Match({"\xed\xa0\x80", ""}), SizeIs(1));
}

TEST_P(CatalogConformance, KeptImagesKnowTheirObject) {
  Addition addition = File("/in/a.jpg", "one");
  const std::string location = "object:images/ab/" + Of("one").Hex();
  addition.image->location = location;
  ASSERT_EQ(catalog_->Record(std::vector{addition}), absl::OkStatus());
  EXPECT_EQ((*catalog_->Image(Of("one")))->location, location);
  EXPECT_THAT(*catalog_->Paths(Of("one")), ElementsAre("/in/a.jpg"));
  Addition nowhere = File("/in/b.jpg", "two");
  nowhere.image->location = "object:somewhere else";
  EXPECT_EQ(catalog_->Record(std::vector{nowhere}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(*catalog_->Image(Of("two")));
}

// Random additions against plain maps.
TEST_P(CatalogConformance, AgreesWithAModel) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto any = [&](int below) { return std::uniform_int_distribution<int>(0, below - 1)(random); };
  std::map<std::string, SourceRecord> sources;
  std::map<std::string, Pin> pins;
  std::set<Signature> images;
  for (int round = 0; round < 30; ++round) {
    std::vector<Addition> additions;
    for (int i = any(12); i >= 0; --i) {
      const std::string path = (any(2) != 0 ? "/a/" : "/b/") + std::to_string(any(25));
      Addition addition = File(path, "content " + std::to_string(any(25)), "board " + std::to_string(any(3)),
                               "word" + std::to_string(any(5)));
      addition.source.modified_ns = round;
      if (any(8) == 0) {
        addition.source.signature.reset();
        addition.source.reason = "refused";
        addition.image.reset();
        addition.pin.reset();
      } else {
        images.insert(addition.image->signature);
        pins[path] = *addition.pin;
      }
      sources[path] = addition.source;
      additions.push_back(addition);
    }
    ASSERT_EQ(catalog_->Record(additions), absl::OkStatus());
    if (any(5) == 0) {
      ASSERT_TRUE(catalog_->CutShards(7).ok());
    }
  }
  for (const auto& [path, source] : sources) {
    const auto found = (*catalog_->Sources(std::vector{path}))[0];
    ASSERT_TRUE(found) << path;
    EXPECT_EQ(found->signature, source.signature) << path;
    EXPECT_EQ(found->modified_ns, source.modified_ns) << path;
    EXPECT_EQ(found->size, source.size) << path;
    EXPECT_EQ(found->reason, source.reason) << path;
  }
  std::vector<Signature> unpinned;
  for (const Signature& image : images) {
    std::vector<std::string> paths, ids, found_ids;
    for (const auto& [path, source] : sources) {
      if (source.signature == image) paths.push_back(path);
    }
    for (const auto& [id, pin] : pins) {
      if (pin.image == image) ids.push_back(id);
    }
    EXPECT_EQ(*catalog_->Paths(image), paths);
    const auto image_pins = *catalog_->Pins(std::vector{image});
    for (const Pin& pin : image_pins) found_ids.push_back(pin.id);
    EXPECT_THAT(found_ids, testing::UnorderedElementsAreArray(ids));
    if (ids.empty()) unpinned.push_back(image);
  }
  EXPECT_EQ(*catalog_->Unpinned(), unpinned);
  for (int word = 0; word < 5; ++word) {
    std::set<Signature> matching;
    for (const auto& [id, pin] : pins) {
      if (pin.description == "word" + std::to_string(word)) matching.insert(pin.image);
    }
    EXPECT_THAT(*catalog_->Match({"", "word" + std::to_string(word)}), testing::ElementsAreArray(matching));
  }
  const CatalogCounts counts = *catalog_->Counts();
  EXPECT_EQ(counts.images, images.size());
  EXPECT_EQ(counts.pins, pins.size());
  ASSERT_TRUE(catalog_->CutShards(1000).ok());
  uint64_t sharded = 0;
  const auto shards = *catalog_->Shards();
  for (const ShardRecord& shard : shards) sharded += catalog_->ShardSignatures(shard.id)->size();
  EXPECT_EQ(sharded, images.size());
}

TEST_P(CatalogConformance, WorkersAreSeenWhileTheyBeat) {
  WorkerBeat beat{"w1", "host", std::chrono::sys_seconds(std::chrono::seconds(1'700'000'000)), {}, "d/0:1", 7, 2.5};
  ASSERT_EQ(catalog_->Heartbeat(beat), absl::OkStatus());
  beat.images = 9;
  ASSERT_EQ(catalog_->Heartbeat(beat), absl::OkStatus());
  beat.name = "w0";
  ASSERT_EQ(catalog_->Heartbeat(beat), absl::OkStatus());
  const auto workers = *catalog_->Workers(std::chrono::seconds(60));
  ASSERT_THAT(workers, SizeIs(2));
  EXPECT_EQ(workers[0].name, "w0");
  EXPECT_EQ(workers[1].images, 9u);
  EXPECT_EQ(workers[1].images_per_second, 2.5);
  EXPECT_EQ(workers[1].started, beat.started);
  EXPECT_GT(workers[1].last_seen, beat.started);
  EXPECT_THAT(*catalog_->Workers(std::chrono::seconds(-10)), IsEmpty());
}

TEST_P(CatalogConformance, RatesAreSums) {
  const FeatureKey color{"color", "abc"}, deep{"deep.x", "abc"};
  ASSERT_EQ(catalog_->RecordRate({deep, 10, 1.5}), absl::OkStatus());
  ASSERT_EQ(catalog_->RecordRate({color, 5, 0.25}), absl::OkStatus());
  ASSERT_EQ(catalog_->RecordRate({deep, 20, 2}), absl::OkStatus());
  const auto rates = *catalog_->Rates();
  ASSERT_THAT(rates, SizeIs(2));
  EXPECT_EQ(rates[0].feature, color);
  EXPECT_EQ(rates[1].images, 30u);
  EXPECT_EQ(rates[1].seconds, 3.5);
}

TEST_P(CatalogConformance, TwoProcessesMayHaveItOpen) {
  const auto other = *GetParam().open();
  ASSERT_TRUE(other->Record(std::vector{File("a.jpg", "one")}).ok());
  EXPECT_EQ(catalog_->Counts()->images, 1u);
}

}  // namespace likeness
