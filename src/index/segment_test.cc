// The segment: what goes in comes out, damage is found and named, and hostile bytes do no harm. The seed of random
// cases is printed with a failure and can be set with LIKENESS_TEST_SEED.
#include "index/segment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "index/segment_format.h"
#include "index/segment_test_data.h"
#include "index/segment_writer.h"

namespace likeness {
namespace {

using testing::HasSubstr;

TEST(Segment, GivesBackWhatWasAdded) {
  const TestShard shard(1000, TestSeed());
  const std::vector<std::byte> file = shard.Seal();
  const auto segment = *Segment::Open(file);
  ASSERT_TRUE(segment->Verify().ok()) << segment->Verify();
  ASSERT_EQ(segment->doc_count(), shard.fingerprints.size());
  ASSERT_EQ(segment->features().size(), 2u);
  for (uint32_t i = 0; i < segment->doc_count(); ++i) {
    const Fingerprint& want = shard.fingerprints[i];
    EXPECT_EQ(segment->signature(DocId(i)), want.signature);
    EXPECT_EQ(segment->Find(want.signature), DocId(i));
    EXPECT_EQ(segment->size(DocId(i)), (Segment::Size{want.width, want.height}));
    for (const SegmentWriter::Deep& feature : shard.features) {
      const DeepColumn& column = *segment->deep(feature.key);
      const auto deep = std::find_if(want.deep.begin(), want.deep.end(), [&](auto& d) { return d.key == feature.key; });
      ASSERT_EQ(column.has(DocId(i)), deep != want.deep.end());
      ASSERT_EQ(column.shape, feature.shape);
      if (deep == want.deep.end()) {
        EXPECT_EQ(column.norm(DocId(i)), 0);
        continue;
      }
      EXPECT_TRUE(std::ranges::equal(column.code(DocId(i)), deep->value.code));
      EXPECT_TRUE(std::ranges::equal(column.vector(DocId(i)), deep->value.vector));
      EXPECT_EQ(column.norm(DocId(i)), deep->value.norm);
    }
  }
  EXPECT_EQ(segment->deep(FeatureKey::Of("deep.other", "")), nullptr);
  Random random(TestSeed() + 1);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(segment->Find(RandomSignature(random)), std::nullopt);
}

// Plain values of 0 to 3 rows of 8 bytes and of one row of 33; some documents have neither.
struct PlainShard {
  explicit PlainShard(size_t documents, uint64_t seed) {
    Random random(seed);
    for (size_t i = 0; i < documents; ++i) {
      Fingerprint one{.signature = RandomSignature(random), .width = 1, .height = 1, .deep = {}, .plain = {}};
      const auto value = [&random](size_t bytes) {
        std::string text(bytes, ' ');
        for (char& c : text) c = static_cast<char>(random.Below(256));
        return text;
      };
      if (i % 5 != 2) one.plain.push_back({features[0].key, value(8 * random.Below(4))});
      if (i % 3 != 1) one.plain.push_back({features[1].key, value(33)});
      fingerprints.push_back(std::move(one));
    }
    std::ranges::sort(fingerprints, {}, &Fingerprint::signature);
  }
  std::vector<std::byte> Seal() const {
    SegmentWriter writer = *SegmentWriter::Create({}, features);
    for (const Fingerprint& one : fingerprints) LIKENESS_CHECK(writer.Add(one).ok());
    return writer.Seal();
  }
  std::vector<SegmentWriter::Plain> features{{FeatureKey::Of("color", "1"), {8, true}},
                                             {FeatureKey::Of("pdq", "1"), {33, false}}};
  std::vector<Fingerprint> fingerprints;
};

TEST(SegmentPlain, GivesBackWhatWasAdded) {
  const PlainShard shard(500, TestSeed());
  const std::vector<std::byte> file = shard.Seal();
  const auto segment = *Segment::Open(file);
  ASSERT_TRUE(segment->Verify().ok()) << segment->Verify();
  ASSERT_EQ(segment->plain_features().size(), 2u);
  EXPECT_TRUE(segment->features().empty());
  for (const SegmentWriter::Plain& feature : shard.features) {
    const PlainColumn& column = *segment->plain(feature.key);
    EXPECT_EQ(column.shape, feature.shape);
    for (uint32_t i = 0; i < segment->doc_count(); ++i) {
      const Fingerprint::Plain* const want = shard.fingerprints[i].FindPlain(feature.key);
      ASSERT_EQ(column.has(DocId(i)), want != nullptr);
      EXPECT_EQ(AsText(column.value(DocId(i))), want == nullptr ? "" : want->value);
    }
  }
  EXPECT_EQ(segment->plain(FeatureKey::Of("color", "2")), nullptr);
}

TEST(SegmentPlain, RefusesValuesThatAreNotOfTheShape) {
  const PlainShard shard(0, 1);
  SegmentWriter writer = *SegmentWriter::Create({}, shard.features);
  Fingerprint one;
  one.signature = *Signature::Parse("00112233445566778899aabbccddeeff");
  for (const auto& [feature, bytes] : {std::pair{0, 7}, {1, 32}, {1, 0}, {1, 66}}) {
    one.plain = {{shard.features[feature].key, std::string(bytes, 'x')}};
    EXPECT_TRUE(absl::IsInvalidArgument(writer.Add(one))) << feature << " " << bytes;
  }
  EXPECT_EQ(writer.doc_count(), 0u);
  const FeatureKey key = shard.features[0].key;
  EXPECT_TRUE(absl::IsInvalidArgument(SegmentWriter::Create({}, {{key, {0, true}}}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(SegmentWriter::Create({}, {{key, {8, true}}, {key, {8, true}}}).status()));
}

// Opening does not read sections, so that ends of rows may lie: reading stays within the file, verifying tells.
TEST(SegmentPlain, SurvivesEndsThatLie) {
  const PlainShard shard(100, TestSeed());
  const std::vector<std::byte> file = shard.Seal();
  const std::string feature = shard.features[0].key.ToString();
  const std::span<const std::byte> ends = *(*Segment::Open(file))->section("plain.ends", feature);
  Random random(TestSeed() + 2);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::byte> damaged = file;
    const size_t at = static_cast<size_t>(ends.data() - file.data()) + random.Below(ends.size());
    damaged[at] ^= std::byte(1 + random.Below(255));
    const auto segment = *Segment::Open(damaged);
    EXPECT_TRUE(absl::IsDataLoss(segment->Verify()));
    const PlainColumn& column = *segment->plain(shard.features[0].key);
    for (uint32_t i = 0; i < segment->doc_count(); ++i) {
      const auto value = column.value(DocId(i));
      EXPECT_TRUE(value.empty() || (value.data() >= column.values.data() &&
                                    value.data() + value.size() <= column.values.data() + column.values.size()));
    }
  }
}

TEST(Segment, FindsSignaturesThatAreNotSpreadEvenly) {
  SegmentWriter writer = *SegmentWriter::Create({});
  std::vector<Signature> signatures;
  for (int i = 0; i < 3000; ++i) {
    Signature signature;
    signature.bytes[0] = std::byte(i % 2 == 0 ? 0x00 : 0xFE);
    signature.bytes[14] = std::byte(i / 256);
    signature.bytes[15] = std::byte(i % 256);
    signatures.push_back(signature);
  }
  std::sort(signatures.begin(), signatures.end());
  for (const Signature& signature : signatures) ASSERT_TRUE(writer.Add({.signature = signature, .deep = {}}).ok());
  const std::vector<std::byte> file = writer.Seal();
  const auto segment = *Segment::Open(file);
  for (uint32_t i = 0; i < signatures.size(); ++i) ASSERT_EQ(segment->Find(signatures[i]), DocId(i));
  Signature absent = signatures[2000];
  absent.bytes[7] = std::byte(1);
  EXPECT_EQ(segment->Find(absent), std::nullopt);
}

TEST(Segment, OfNothing) {
  const TestShard shard(0, 1);
  const std::vector<std::byte> file = shard.Seal();
  const auto segment = *Segment::Open(file);
  EXPECT_TRUE(segment->Verify().ok());
  EXPECT_EQ(segment->doc_count(), 0u);
  EXPECT_EQ(segment->Find(Signature{}), std::nullopt);
  EXPECT_EQ(segment->features().size(), 2u);
}

TEST(Segment, SameFingerprintsSameBytesAndTheWriterStartsAnew) {
  const TestShard shard(70, 2);
  SegmentWriter writer = *SegmentWriter::Create(shard.features);
  for (int round = 0; round < 2; ++round) {
    for (const Fingerprint& fingerprint : shard.fingerprints) ASSERT_TRUE(writer.Add(fingerprint).ok());
    EXPECT_EQ(writer.Seal(), shard.Seal());
    EXPECT_EQ(writer.doc_count(), 0u);
  }
}

TEST(Segment, KeepsItsOwnerAlive) {
  auto file = std::make_shared<const std::vector<std::byte>>(TestShard(3, 3).Seal());
  const std::weak_ptr<const std::vector<std::byte>> watch = file;
  auto segment = *Segment::Open(*file, file);
  file.reset();
  EXPECT_FALSE(watch.expired());
  EXPECT_TRUE(segment->Verify().ok());
  segment.reset();
  EXPECT_TRUE(watch.expired());
}

TEST(SegmentWriter, RefusesWhatDoesNotFit) {
  const TestShard shard(2, 4);
  const auto refused = [&](auto change) {
    SegmentWriter writer = *SegmentWriter::Create(shard.features);
    EXPECT_TRUE(writer.Add(shard.fingerprints[0]).ok());
    Fingerprint fingerprint = shard.fingerprints[1];
    change(fingerprint);
    const absl::Status status = writer.Add(fingerprint);
    EXPECT_EQ(writer.doc_count(), status.ok() ? 2u : 1u);
    return absl::IsInvalidArgument(status);
  };
  EXPECT_FALSE(refused([](Fingerprint&) {}));
  EXPECT_FALSE(refused([](Fingerprint& f) { f.deep.push_back({FeatureKey::Of("deep.other", "x"), {}}); }));
  EXPECT_TRUE(refused([&](Fingerprint& f) { f.signature = shard.fingerprints[0].signature; }));
  EXPECT_TRUE(refused([](Fingerprint& f) { f.signature = {}; }));
  EXPECT_TRUE(refused([](Fingerprint& f) { f.deep[0].value.code.push_back(0); }));
  EXPECT_TRUE(refused([](Fingerprint& f) { f.deep[0].value.vector.pop_back(); }));
  EXPECT_TRUE(refused([](Fingerprint& f) { f.deep[1].value.code.back() = ~uint64_t{0}; }))  // of 100 bits
      << "bits beyond the end would count as distance";

  const FeatureKey key = FeatureKey::Of("deep.x", "");
  EXPECT_TRUE(absl::IsInvalidArgument(SegmentWriter::Create({{key, {256, 8}}, {key, {256, 8}}}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(SegmentWriter::Create({{key, {0, 8}}}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(SegmentWriter::Create({{key, {4097, 8}}}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(SegmentWriter::Create({{key, {256, 0}}}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(SegmentWriter::Create({{{"no key", "x"}, {256, 8}}}).status()));
}

// Rewrites the table of contents by `change` and makes all checksums right again: only what is checked beyond them can
// find the damage.
std::vector<std::byte> Forge(std::vector<std::byte> file,
                             const std::function<void(SegmentEntry&, std::string_view)>& change,
                             const std::function<void(SegmentHeader&, SegmentFooter&)>& change_ends = {}) {
  SegmentFooter footer;
  SegmentHeader header;
  std::memcpy(&footer, file.data() + file.size() - sizeof(footer), sizeof(footer));
  std::memcpy(&header, file.data(), sizeof(header));
  for (size_t at = footer.toc_offset; at < footer.toc_offset + footer.toc_length;) {
    SegmentEntry entry;
    std::memcpy(&entry, file.data() + at, sizeof(entry));
    const size_t text = size_t{entry.name_length} + entry.feature_length;
    const std::string_view name = AsText(std::span(file).subspan(at + sizeof(entry), entry.name_length));
    if (change) change(entry, name);
    std::memcpy(file.data() + at, &entry, sizeof(entry));
    at += sizeof(entry) + text;
  }
  footer.toc_checksum = Checksum(std::span(file).subspan(footer.toc_offset, footer.toc_length));
  if (change_ends) change_ends(header, footer);
  const auto seal = [](auto& end) {
    using End = std::remove_reference_t<decltype(end)>;
    end.checksum = Checksum(std::as_bytes(std::span(&end, 1)).first(offsetof(End, checksum)));
  };
  seal(header);
  seal(footer);
  std::memcpy(file.data(), &header, sizeof(header));
  std::memcpy(file.data() + file.size() - sizeof(footer), &footer, sizeof(footer));
  return file;
}

TEST(Segment, LyingTablesAreDataLoss) {
  const std::vector<std::byte> file = TestShard(100, 5).Seal();
  ASSERT_TRUE(Segment::Open(Forge(file, {})).ok());
  for (const std::string_view victim :
       {"signatures", "sizes", "deep.codes", "deep.vectors", "deep.norms", "deep.present"}) {
    const std::vector<std::pair<const char*, std::function<void(SegmentEntry&)>>> lies{
        {"offset beyond the end", [](SegmentEntry& e) { e.offset = uint64_t{1} << 40; }},
        {"offset that overflows", [](SegmentEntry& e) { e.offset = ~uint64_t{63}; }},
        {"offset not aligned", [](SegmentEntry& e) { e.offset += 8; }},
        {"length beyond the end", [](SegmentEntry& e) { e.length = uint64_t{1} << 40; }},
        {"length that overflows", [](SegmentEntry& e) { e.length = ~uint64_t{0}; }},
        {"length one more", [](SegmentEntry& e) { e.length += 1; }},
        {"length one value less", [](SegmentEntry& e) { e.length -= 8; }},
        {"length nothing", [](SegmentEntry& e) { e.length = 0; }}};
    for (const auto& [what, lie] : lies) {
      const auto forged = Forge(file, [&](SegmentEntry& e, std::string_view name) {
        if (name == victim) lie(e);
      });
      EXPECT_TRUE(absl::IsDataLoss(Segment::Open(forged).status())) << victim << ": " << what;
    }
  }
  for (const uint64_t parameter : {uint64_t{0}, uint64_t{1}, uint64_t{4097}, ~uint64_t{0}}) {
    for (const std::string_view victim : {"deep.codes", "deep.vectors"}) {
      const auto forged = Forge(file, [&](SegmentEntry& e, std::string_view name) {
        if (name == victim) e.parameter = parameter;
      });
      EXPECT_TRUE(absl::IsDataLoss(Segment::Open(forged).status())) << victim << " " << parameter;
    }
  }
  for (const uint64_t documents : {uint64_t{0}, uint64_t{99}, uint64_t{101}, uint64_t{1} << 32, ~uint64_t{0}}) {
    const auto forged = Forge(file, {}, [&](SegmentHeader& h, SegmentFooter&) { h.documents = documents; });
    EXPECT_TRUE(absl::IsDataLoss(Segment::Open(forged).status())) << documents;
  }
  const auto moved = Forge(file, {}, [](SegmentHeader&, SegmentFooter& f) { f.toc_offset = ~uint64_t{0}; });
  EXPECT_TRUE(absl::IsDataLoss(Segment::Open(moved).status()));
  const auto crowded = Forge(file, {}, [](SegmentHeader&, SegmentFooter& f) { f.sections += 1; });
  EXPECT_TRUE(absl::IsDataLoss(Segment::Open(crowded).status()));
  const auto later = Forge(file, {}, [](SegmentHeader& h, SegmentFooter& f) { h.version = f.version = 2; });
  EXPECT_TRUE(absl::IsUnimplemented(Segment::Open(later).status()));
}

TEST(Segment, SectionsOfLaterVersionsArePassedOver) {
  // A section whose name no reader knows: one of the known ones, renamed.
  const std::vector<std::byte> file = TestShard(100, 6).Seal();
  std::vector<std::byte> renamed = file;
  const std::string_view name = "deep.present";
  const auto at = std::search(renamed.begin(), renamed.end(), AsBytes(name).begin(), AsBytes(name).end());
  ASSERT_NE(at, renamed.end());
  *at = std::byte('x');
  const std::vector<std::byte> extended = Forge(renamed, {});
  const auto segment = Segment::Open(extended);
  ASSERT_TRUE(segment.ok()) << segment.status();
  EXPECT_TRUE((*segment)->Verify().ok());
  EXPECT_TRUE((*segment)->section("xeep.present", (*segment)->features()[0].ToString()) ||
              (*segment)->section("xeep.present", (*segment)->features()[1].ToString()));
}

TEST(Segment, EveryByteIsGuarded) {
  const std::vector<std::byte> file = TestShard(5, 7).Seal();
  const auto segment = *Segment::Open(file);
  std::vector<bool> padding(file.size(), true);  // between sections: nobody reads it
  for (const Segment::Section& section : segment->sections()) {
    for (uint64_t i = 0; i < section.length; ++i) padding[section.offset + i] = false;
  }
  SegmentFooter footer;
  std::memcpy(&footer, file.data() + file.size() - sizeof(footer), sizeof(footer));
  for (size_t i = 0; i < file.size(); ++i) {
    if (i >= sizeof(SegmentHeader) && i < footer.toc_offset && padding[i]) continue;
    std::vector<std::byte> damaged = file;
    damaged[i] ^= std::byte(0x10);
    const auto opened = Segment::Open(damaged);
    ASSERT_FALSE(opened.ok() && (*opened)->Verify().ok()) << "byte " << i;
  }
  for (size_t length = 0; length < file.size(); ++length) {
    const auto opened = Segment::Open(std::span(file).first(length));
    ASSERT_TRUE(absl::IsDataLoss(opened.status())) << "cut to " << length;
  }
}

TEST(Segment, VerifyNamesTheSection) {
  std::vector<std::byte> file = TestShard(50, 8).Seal();
  const uint64_t offset = [&] {
    const auto segment = *Segment::Open(file);
    for (const auto& section : segment->sections()) {
      if (section.name == "deep.vectors") return section.offset;
    }
    return uint64_t{0};
  }();
  file[offset] ^= std::byte(1);
  const auto segment = *Segment::Open(file);
  EXPECT_TRUE(absl::IsDataLoss(segment->Verify()));
  EXPECT_THAT(MessageOf(segment->Verify()), HasSubstr("deep.vectors of deep."));
  EXPECT_THAT(*InspectSegment(file), HasSubstr("\"checksum_ok\": false"));
}

TEST(Segment, SpanThatIsNotAlignedIsTheCallersFault) {
  const std::vector<std::byte> file = TestShard(1, 9).Seal();
  EXPECT_TRUE(absl::IsInvalidArgument(Segment::Open(std::span(file).subspan(1)).status()));
}

// Opening reads the ends of the file alone: a file of a million documents, of which nothing else was ever written.
TEST(Segment, OpensAMillionDocumentsWithinMilliseconds) {
  constexpr uint64_t kDocuments = 1'000'000;
  const std::vector<std::byte> small = TestShard(64, 10, /*complete=*/true).Seal();
  const uint64_t bytes = [&] {
    const auto segment = *Segment::Open(small);
    uint64_t sum = 1 << 20;
    for (const auto& section : segment->sections()) sum += section.length / 64 * kDocuments + 64;
    return sum;
  }();
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "million.segment";
  SegmentFooter footer;
  std::memcpy(&footer, small.data() + small.size() - sizeof(footer), sizeof(footer));
  std::vector<std::byte> toc(small.begin() + static_cast<ptrdiff_t>(footer.toc_offset), small.end());
  toc.resize(footer.toc_length);
  uint64_t end = 64;
  for (size_t at = 0; at < toc.size();) {
    SegmentEntry entry;
    std::memcpy(&entry, toc.data() + at, sizeof(entry));
    entry.length = entry.length / 64 * kDocuments;
    entry.offset = end;
    end = (end + entry.length + 63) / 64 * 64;
    std::memcpy(toc.data() + at, &entry, sizeof(entry));
    at += sizeof(entry) + entry.name_length + entry.feature_length;
  }
  ASSERT_LE(end, bytes);
  const auto seal = [](auto& object) {
    using Object = std::remove_reference_t<decltype(object)>;
    object.checksum = Checksum(std::as_bytes(std::span(&object, 1)).first(offsetof(Object, checksum)));
  };
  SegmentHeader header{.documents = kDocuments};
  seal(header);
  footer.toc_offset = end;
  footer.toc_checksum = Checksum(toc);
  footer.file_length = end + toc.size() + sizeof(footer);
  seal(footer);
  {  // The body is a hole in the file.
    const std::unique_ptr<FILE, int (*)(FILE*)> out(std::fopen(path.c_str(), "wb"), std::fclose);
    std::fwrite(&header, sizeof(header), 1, out.get());
    std::fseek(out.get(), static_cast<long>(end), SEEK_SET);
    std::fwrite(toc.data(), 1, toc.size(), out.get());
    std::fwrite(&footer, sizeof(footer), 1, out.get());
  }
  double best = 1e9;  // of a few tries: the machine may be busy
  for (int i = 0; i < 5; ++i) {
    const Stopwatch watch;
    const auto map = *MappedFile::Open(path);
    const auto segment = Segment::Open(map->bytes(), map);
    best = std::min(best, watch.Milliseconds());
    ASSERT_TRUE(segment.ok()) << segment.status();
    ASSERT_EQ((*segment)->doc_count(), kDocuments);
  }
  std::filesystem::remove(path);
  EXPECT_LT(best, 5.0) << "milliseconds";
}

TEST(Segment, FileOfVersion1IsReadForEver) {
  const auto path = std::filesystem::path(LIKENESS_SOURCE_DIR) / "tests/format/segment_v1.bin";
  const std::vector<std::byte> made = VersionOneExample();
  if (std::getenv("LIKENESS_WRITE_FORMAT_FILES") != nullptr) {
    ASSERT_TRUE(WriteFileAtomic(path, made).ok());
  }
  const auto map = *MappedFile::Open(path);
  const auto segment = *Segment::Open(map->bytes(), map);
  ASSERT_TRUE(segment->Verify().ok()) << segment->Verify();
  ASSERT_EQ(segment->doc_count(), 2u);
  EXPECT_EQ(segment->signature(DocId(0)).Hex(), "00112233445566778899aabbccddeeff");
  EXPECT_EQ(segment->signature(DocId(1)).Hex(), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(segment->size(DocId(0)), (Segment::Size{640, 480}));
  EXPECT_EQ(segment->size(DocId(1)), (Segment::Size{224, 225}));
  const DeepColumn* const column = segment->deep(*FeatureKey::Parse("deep.tiny/0123456789ab"));
  ASSERT_NE(column, nullptr);
  EXPECT_EQ(column->shape, (DeepShape{64, 4}));
  EXPECT_EQ(column->code(DocId(0))[0], 0x0123456789ABCDEFu);
  EXPECT_TRUE(std::ranges::equal(column->vector(DocId(0)), std::vector<int8_t>{127, -127, 0, 1}));
  EXPECT_FLOAT_EQ(column->norm(DocId(0)), 179.607906f);
  EXPECT_TRUE(column->has(DocId(0)));
  EXPECT_FALSE(column->has(DocId(1)));
  EXPECT_TRUE(std::ranges::equal(map->bytes(), made)) << "the writer of today gives other bytes";
}

TEST(InspectSegment, SaysWhatIsInside) {
  const std::string text = *InspectSegment(VersionOneExample());
  for (const char* part : {"\"documents\": 2", "\"deep.tiny/0123456789ab\"", "\"code_bits\": 64", "\"dimension\": 4",
                           "\"ok\": true", "\"signatures\""}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_TRUE(absl::IsDataLoss(InspectSegment({}).status()));
}

}  // namespace
}  // namespace likeness
