// What a search promises: a picture finds itself, the same answer whether it is uploaded or known, regions and filters
// mean what they say, and a new release serves without a pause.
#include "serve/search_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "support/tiny_home.h"

namespace likeness {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class SearchServiceTest : public TinyHomeTest {
 protected:
  // Pictures of an even number are on board "even", the others on "odd"; number i is described as "picture word<i>".
  void Ingest(int count) {
    std::vector<BoardPin> pins;
    for (int i = 0; i < count; ++i)
      pins.push_back({i, i % 2 == 0 ? "even" : "odd", "picture word" + std::to_string(i)});
    TinyHomeTest::Ingest(pins);
  }
  std::unique_ptr<SearchService> Service() { return *SearchService::Open(*home_, 2); }
  static SearchRequest Upload(const std::string& bytes) {
    SearchRequest request;
    request.image = AsBytes(bytes);
    return request;
  }
};

TEST_F(SearchServiceTest, APictureFindsItselfUploadedOrKnown) {
  Ingest(20);
  const auto service = Service();
  const std::string picture = Picture(3);
  const SearchAnswer uploaded = *service->Search(Upload(picture));
  SearchRequest known;
  known.signature = SignatureOf(3);
  const SearchAnswer by_signature = *service->Search(known);
  for (const SearchAnswer& answer : {uploaded, by_signature}) {
    ASSERT_THAT(answer.results, SizeIs(20));
    EXPECT_EQ(answer.results[0].hit.signature, SignatureOf(3));
    EXPECT_NEAR(answer.results[0].hit.score.value, 1, 1e-5);
    EXPECT_EQ(answer.results[0].hit.evidence.distance.bits, 0u);
    EXPECT_EQ(answer.results[0].hit.evidence.code_bits, 64u);
    EXPECT_THAT(answer.results[0].source, HasSubstr("p3.jpg"));
    ASSERT_THAT(answer.results[0].pins, SizeIs(1));
    EXPECT_EQ(answer.results[0].pins[0].board, "odd");
    EXPECT_EQ(answer.query.width, 60u);
    EXPECT_EQ(answer.coverage.searched, 20u);
    EXPECT_EQ(answer.coverage.images, 20u);
  }
  for (size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(uploaded.results[i].hit.signature, by_signature.results[i].hit.signature) << i;
    if (i > 0) {
      EXPECT_LE(uploaded.results[i].hit.score, uploaded.results[i - 1].hit.score) << "best first";
    }
  }
}

TEST_F(SearchServiceTest, ACollectionOfOneOrTwoPicturesAnswersSensibly) {
  Ingest(1);
  const std::string picture = Picture(0);
  const SearchAnswer alone = *Service()->Search(Upload(picture));
  ASSERT_THAT(alone.results, SizeIs(1));
  EXPECT_NEAR(alone.results[0].hit.score.value, 1, 1e-3);
  Ingest(2);
  const SearchAnswer two = *Service()->Search(Upload(picture));
  ASSERT_THAT(two.results, SizeIs(2));
  EXPECT_EQ(two.results[0].hit.signature, SignatureOf(0));
  EXPECT_GT(two.results[1].hit.score.value, -0.5f) << "the other picture is not its opposite";
}

TEST_F(SearchServiceTest, FiltersHideImagesAndNothingElse) {
  Ingest(20);
  const auto service = Service();
  SearchRequest request;
  request.signature = SignatureOf(3);
  request.filter.board = "even";
  SearchAnswer answer = *service->Search(request);
  EXPECT_THAT(answer.results, SizeIs(10));
  for (const auto& result : answer.results) EXPECT_EQ(result.pins[0].board, "even");
  request.filter.text = "word4";
  answer = *service->Search(request);
  ASSERT_THAT(answer.results, SizeIs(1));
  EXPECT_EQ(answer.results[0].hit.signature, SignatureOf(4));
  request.filter.text = "nothing";
  EXPECT_THAT(service->Search(request)->results, IsEmpty());
  EXPECT_EQ(service->List(0, 100, {"odd", ""})->total, 10u);
}

TEST_F(SearchServiceTest, ARegionIsSearchedAlone) {
  Ingest(5);
  const auto service = Service();
  SearchRequest whole, part;
  whole.signature = part.signature = SignatureOf(1);
  part.region = Region{0, 0, 60, 40};
  EXPECT_GT(service->Search(part)->results[0].hit.score.value, 0.99f) << "the region that is everything";
  part.region = Region{0, 0, 10, 10};
  const SearchAnswer answer = *service->Search(part);
  EXPECT_EQ(answer.query.region, part.region);
  EXPECT_LT(answer.results[0].hit.score.value, 0.9999f);
  part.region = Region{55, 0, 10, 10};
  EXPECT_EQ(service->Search(part).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SearchServiceTest, AColorAloneFindsWhatHasItAndBesideAPictureDrawsItUp) {
  Ingest(20);
  const auto service = Service();
  // The main color of some picture is what is asked for.
  const ColorSignature palette = service->Colors(SignatureOf(4));
  ASSERT_FALSE(palette.empty());
  SearchRequest alone;
  alone.k = 5;
  alone.color = ColorWish{ColorQuery{palette[0].lab}};
  const SearchAnswer answer = *service->Search(alone);
  EXPECT_EQ(answer.coverage.searched, 20u);
  EXPECT_FALSE(answer.query.signature);
  ASSERT_FALSE(answer.results.empty());
  float before = 1;
  for (const auto& result : answer.results) {
    const auto& evidence = result.hit.evidence.plain;
    ASSERT_TRUE(evidence);
    EXPECT_LE(evidence->match, before);
    before = evidence->match;
    EXPECT_NEAR(evidence->match, alone.color->color.Match(service->Colors(result.hit.signature)), 1e-6);
  }
  EXPECT_GE(answer.results[0].hit.score.value, alone.color->color.Match(palette) - 1e-6f);

  SearchRequest look, beside;
  look.signature = beside.signature = SignatureOf(9);
  look.k = beside.k = 20;
  beside.color = alone.color;
  beside.color->weight = 1;
  EXPECT_EQ(service->Search(beside)->results[0].hit.signature, answer.results[0].hit.signature);
  beside.color->weight = 0;
  const SearchAnswer same = *service->Search(beside), plain = *service->Search(look);
  ASSERT_EQ(same.results.size(), plain.results.size());
  for (size_t i = 0; i < same.results.size(); ++i) {
    EXPECT_EQ(same.results[i].hit.signature, plain.results[i].hit.signature);
  }
  beside.color->weight = 2;
  EXPECT_EQ(service->Search(beside).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SearchServiceTest, AReleaseWithoutColorsSaysHowToGetThem) {
  home_->mutable_config().features = {"deep"};
  Ingest(3);
  SearchRequest request;
  request.color = ColorWish{};
  const auto answer = Service()->Search(request);
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(answer.status().message()), HasSubstr("likeness.toml"));
}

// With the model that the program has a calibration of.
class CalibrationTest : public TinyHomeTest {
 protected:
  CalibrationTest() : TinyHomeTest("efficientnet_lite1") {}
};

TEST_F(CalibrationTest, TheHomesOwnIsToldFromThatOfTheProgram) {
  Ingest({{0, "a"}, {1, "a"}, {2, "b"}});
  using Calibration = SearchAnswer::Calibration;
  const auto calibration = [&](const SearchRequest& request) {
    const SearchAnswer answer = *(*SearchService::Open(*home_, 2))->Search(request);
    for (const auto& result : answer.results) {
      EXPECT_EQ(result.hit.evidence.probability.has_value(), answer.calibration.has_value());
    }
    return answer.calibration;
  };
  SearchRequest known, color;
  known.signature = SignatureOf(1);
  known.ranking.floor = false;
  color.color = ColorWish{};
  EXPECT_EQ(calibration(known), Calibration::kShipped);
  EXPECT_EQ(calibration(color), std::nullopt);
  FloorModel::Parameters parameters = FloorModel::Default("deep.efficientnet_lite1")->parameters();
  const auto write = [&] {
    const std::string text = FloorModel::Create(parameters)->ToJson();
    ASSERT_TRUE(WriteFileAtomic(folder_ / "home" / "ranking" / "floor.json", AsBytes(text)).ok());
  };
  write();
  EXPECT_EQ(calibration(known), Calibration::kHome);
  EXPECT_EQ(calibration(color), std::nullopt);
  parameters.feature = "deep.another";
  write();
  EXPECT_EQ(calibration(known), Calibration::kShipped) << "the home's own is of another feature";
}

TEST_F(SearchServiceTest, ListsPagesInOneOrder) {
  Ingest(12);
  const auto service = Service();
  std::vector<Signature> all;
  for (uint64_t offset = 0; offset < 12; offset += 5) {
    const auto page = service->List(offset, 5, {});
    EXPECT_EQ(page->total, 12u);
    for (const auto& item : page->images) all.push_back(item.signature);
  }
  ASSERT_THAT(all, SizeIs(12));
  EXPECT_TRUE(std::ranges::is_sorted(all));
  EXPECT_THAT(service->List(12, 5, {})->images, IsEmpty());
  EXPECT_EQ(service->List(0, 1, {})->images[0].width, 60u);
}

TEST_F(SearchServiceTest, BadRequestsGetTheirOwnAnswers) {
  const auto empty = Service();
  const std::string picture = Picture(0);
  EXPECT_EQ(empty->Search(Upload(picture)).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(empty->List(0, 10, {})->total, 0u);
  Ingest(3);
  const auto service = Service();
  const auto code = [&](const SearchRequest& request) { return service->Search(request).status().code(); };
  SearchRequest request;
  EXPECT_EQ(code(request), absl::StatusCode::kInvalidArgument) << "neither picture nor signature";
  request = Upload(picture);
  request.k = 0;
  EXPECT_EQ(code(request), absl::StatusCode::kInvalidArgument);
  request.k = 1'000'000;
  EXPECT_EQ(code(request), absl::StatusCode::kInvalidArgument);
  request = {};
  request.signature = SignatureOf(99);
  EXPECT_EQ(code(request), absl::StatusCode::kNotFound);
  const std::string text = "no picture at all, but long enough to be looked at";
  EXPECT_EQ(BlameOf(service->Search(Upload(text)).status()), Blame::kData);
  request = Upload(picture);
  request.deadline = Deadline::After(std::chrono::nanoseconds(0));
  EXPECT_EQ(code(request), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(SearchServiceTest, ANewReleaseServesAfterReloadAndAnUnpinnedImageIsGone) {
  Ingest(5);
  const auto service = Service();
  const auto before = service->serving();
  Write(5);
  std::istringstream more("{\"pin\": 5, \"image\": \"p5.jpg\"}\n{\"pin\": 0, \"image\": \"p5.jpg\"}\n");
  ASSERT_TRUE(AddLines(*home_, more, folder_ / "pictures", {}, {}).ok());
  Build();
  EXPECT_EQ(service->serving(), before) << "nothing changes under a reader";
  ASSERT_TRUE(service->Reload().ok());
  EXPECT_NE(service->serving()->release.name, before->release.name);
  EXPECT_EQ(service->serving()->visible, 5u) << "pin 0 is of another picture now";
  SearchRequest request;
  request.signature = SignatureOf(5);
  const SearchAnswer answer = *service->Search(request);
  EXPECT_THAT(answer.results, SizeIs(5));
  for (const auto& result : answer.results) EXPECT_NE(result.hit.signature, SignatureOf(0));
  EXPECT_EQ(before->snapshot->doc_count(), 5u) << "a query in flight keeps what it took";
}

}  // namespace
}  // namespace likeness
