// The nouns: what they print they parse, they refuse everything else, and they order as the formats need.
#include <gtest/gtest.h>

#include "types/doc_id.h"
#include "types/epoch.h"
#include "types/feature_key.h"
#include "types/region.h"
#include "types/signature.h"

namespace likeness {
namespace {

TEST(Signature, IsTheMd5AndOrdersAsItsDigits) {
  const Signature a = Signature::Of(AsBytes("abc")), b = Signature::Of(AsBytes("abd"));
  EXPECT_EQ(a.Hex(), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(Signature::Parse(a.Hex()), a);
  EXPECT_EQ(a < b, a.Hex() < b.Hex());
  EXPECT_FALSE(Signature::Parse("900150983cd24fb0d6963f7d28e17f7"));
  EXPECT_FALSE(Signature::Parse("g00150983cd24fb0d6963f7d28e17f72"));
}

TEST(DocId, IsNoPlainNumber) {
  static_assert(!std::is_convertible_v<uint32_t, DocId>);
  static_assert(!std::is_convertible_v<DocId, uint32_t>);
  EXPECT_LT(DocId(1), DocId(2));
}

TEST(Epoch, ParsesOnlyRealDates) {
  for (const char* text : {"2026-11-22", "2024-02-29", "0001-01-01"}) EXPECT_EQ(Epoch::Parse(text)->ToString(), text);
  for (const char* text : {"2023-02-29", "2026-13-01", "2026-1-01", "0000-01-01", "20261122", "2026-11-2x", ""}) {
    EXPECT_FALSE(Epoch::Parse(text)) << text;
  }
  EXPECT_EQ((ShardId{*Epoch::Parse("2026-11-22"), 3}).ToString(), "2026-11-22/00003");
}

TEST(FeatureKey, VersionChangesWithAnythingThatIsDescribed) {
  const FeatureKey a = FeatureKey::Of("deep.x", "model=1"), b = FeatureKey::Of("deep.x", "model=2");
  EXPECT_NE(a, b);
  EXPECT_EQ(a, FeatureKey::Of("deep.x", "model=1"));
  EXPECT_EQ(FeatureKey::Parse(a.ToString()), a);
  for (const char* text : {"deep.x", "/1", "deep/", "Deep/1", "a/b/c", "../x/1", "../1", "deep/../1"}) {
    EXPECT_FALSE(FeatureKey::Parse(text)) << text;
  }
}

TEST(Region, ParsesAndFits) {
  EXPECT_EQ(Region::Parse("1,2,30,40"), (Region{1, 2, 30, 40}));
  for (const char* text : {"1,2,3", "1,2,3,4,5", "-1,0,1,1", "0,0,0,1", "a,b,c,d", "1, 2,3,4", "0,0,99999999999,1"}) {
    EXPECT_FALSE(Region::Parse(text)) << text;
  }
  EXPECT_TRUE((Region{0, 0, 10, 10}).Within(10, 10));
  EXPECT_FALSE((Region{1, 0, 10, 10}).Within(10, 10));
  EXPECT_FALSE((Region{2147483647, 0, 10, 10}).Within(10, 10));
}

}  // namespace
}  // namespace likeness
