// Searches that ask visual words, too: a part of a picture finds it, known and uploaded pictures ask the same, and a
// home without words answers by the look.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <tuple>

#include "base/file.h"
#include "image/encode.h"
#include "pipeline/add.h"
#include "pipeline/fingerprint.h"
#include "pipeline/open_snapshot.h"
#include "serve/adder.h"
#include "serve/query_keypoints.h"
#include "serve/search_service.h"
#include "support/disk_pictures.h"
#include "support/scratch_folder.h"
#include "support/tiny_model.h"

namespace likeness {
namespace {

class TokenQueryTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(InstallTinyModel(folder_ / "home" / "models", "tiny").ok());
    Configure("");
    for (uint64_t i = 0; i < 12; ++i) {
      ASSERT_TRUE(WriteFileAtomic(folder_ / "pictures" / (std::to_string(i) + ".jpg"), AsBytes(Picture(i))).ok());
    }
    ASSERT_TRUE(AddFolder(*home_, folder_ / "pictures", {.threads = 2}, {}).ok());
    const auto run = RunFingerprint(*home_, *CurrentExtractors(*home_), {});
    ASSERT_TRUE(run.ok()) << run.status();
    ASSERT_TRUE(BuildIndex(*home_, *BuildFeatures(*home_, run->features), {}).ok());
  }

  void Configure(const std::string& sections) {
    const std::string toml =
        "threads = 2\n[deep]\nmodels = [\"tiny\"]\ncode_bits = 64\n[features]\ntypes = [\"deep\", \"color\", "
        "\"local\"]\n" +
        sections;
    ASSERT_TRUE(WriteFileAtomic(folder_ / "home" / "likeness.toml", AsBytes(toml)).ok());
    home_ = *Home::Open(folder_ / "home", true);
  }
  static std::string Picture(uint64_t i) { return *EncodeJpeg(Disks(i), 90); }
  static Signature SignatureOf(uint64_t i) { return Signature::Of(AsBytes(Picture(i))); }
  static SearchRequest Upload(const std::string& bytes) {
    SearchRequest request;
    request.image = AsBytes(bytes);
    request.ranking.collapse = false;
    return request;
  }
  SearchAnswer Ask(const SearchRequest& request) {
    const auto service = SearchService::Open(*home_, 2);
    auto answer = (*service)->Search(request);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? *std::move(answer) : SearchAnswer();
  }

  const ScratchFolder scratch_;
  const std::filesystem::path folder_ = scratch_.path();
  std::unique_ptr<Home> home_;
};

TEST_F(TokenQueryTest, APartOfAPictureFindsItWithThePlace) {
  const std::string part = *EncodeJpeg(Middle(Disks(7)), 85);
  const SearchAnswer answer = Ask(Upload(part));
  ASSERT_FALSE(answer.results.empty());
  EXPECT_EQ(answer.results[0].hit.signature, SignatureOf(7));
  const auto& tokens = answer.results[0].hit.evidence.tokens;
  ASSERT_TRUE(tokens);
  EXPECT_GT(tokens->verified, 20u);
  ASSERT_GE(tokens->region.size(), 3u);
  float left = 1, right = 0;
  for (const auto& [x, y] : tokens->region) {
    left = std::min(left, x);
    right = std::max(right, x);
  }
  EXPECT_NEAR(left, 50.0 / 400, 0.03);
  EXPECT_NEAR(right, 350.0 / 400, 0.03);

  SearchRequest look = Upload(part);
  look.tokens = false;
  const SearchAnswer alone = Ask(look);
  EXPECT_EQ(alone.weights[Signal::kTokens], 0);
  for (const auto& result : alone.results) EXPECT_FALSE(result.hit.evidence.tokens);
}

TEST_F(TokenQueryTest, ARegionAsksAsThePartThatItIs) {
  SearchRequest region;
  region.signature = SignatureOf(4);
  region.region = Region{50, 37, 300, 225};
  const SearchAnswer answer = Ask(region);
  ASSERT_FALSE(answer.results.empty());
  EXPECT_EQ(answer.results[0].hit.signature, SignatureOf(4));
  ASSERT_TRUE(answer.results[0].hit.evidence.tokens);
  EXPECT_GT(answer.results[0].hit.evidence.tokens->verified, 20u);
}

TEST_F(TokenQueryTest, KnownAndUploadedPicturesAskTheSame) {
  Configure("[rank.weights]\nvisual = 1\ncolor = 0.5\ntokens = 0.5\n");
  const std::string picture = Picture(3);
  SearchRequest known;
  known.signature = SignatureOf(3);
  known.ranking.collapse = false;
  const SearchAnswer uploaded = Ask(Upload(picture)), stored = Ask(known);
  ASSERT_EQ(uploaded.results.size(), stored.results.size());
  for (size_t i = 0; i < stored.results.size(); ++i) {
    const Hit &a = uploaded.results[i].hit, &b = stored.results[i].hit;
    EXPECT_EQ(a.signature, b.signature) << i;
    EXPECT_EQ(a.score, b.score) << i;
    EXPECT_TRUE(a.evidence.signals.has(Signal::kColor)) << "colors of an upload are looked at, too";
    EXPECT_TRUE(a.evidence.signals == b.evidence.signals) << i;
    EXPECT_EQ(a.evidence.tokens.has_value(), b.evidence.tokens.has_value()) << i;
  }
  ASSERT_TRUE(stored.results[0].hit.evidence.tokens);
  EXPECT_EQ(uploaded.results[0].hit.evidence.tokens->verified, stored.results[0].hit.evidence.tokens->verified);
}

// Pictures that no release has yet: alone in their segment, merged with others, and read by a server that starts anew.
TEST_F(TokenQueryTest, FewKeypointsAskSeveralWordsEach) {
  const Release release = *ReadRelease(home_->objects(), (*ReadCurrent(home_->objects()))->name);
  const auto keypoints = QueryKeypoints::Open(*home_, release, **OpenSnapshot(*home_, release));
  ASSERT_NE(keypoints, nullptr);
  bool several = false, one = false;
  for (const int32_t side : {400, 150, 60}) {
    const std::string rows = *keypoints->Of(Disks(5), Region{0, 0, side, std::min(side, 300)});
    const std::vector<LocalFeature> words = *UnpackLocals(AsBytes(rows));
    EXPECT_TRUE(std::ranges::is_sorted(words, {}, &LocalFeature::word));
    std::set<std::tuple<float, float, float, float>> distinct;
    for (const LocalFeature& word : words) distinct.insert({word.x, word.y, word.sigma, word.angle});
    ASSERT_FALSE(distinct.empty()) << side;
    const size_t each = std::clamp<size_t>(512 / distinct.size(), 1, 4);
    EXPECT_EQ(words.size(), each * distinct.size()) << side;
    EXPECT_LE(words.size(), 512u);
    (each > 1 ? several : one) = true;
  }
  EXPECT_TRUE(several && one) << "both kinds are among them";
}

TEST_F(TokenQueryTest, YoungPicturesAreFoundByTheirPartsAndWords) {
  Configure("[rank.weights]\nvisual = 1\nannotation = 0.5\ntokens = 1\n");
  const auto service = SearchService::Open(*home_, 2);
  Adder adder(**service, {.threads = 1});
  const auto post = [&](uint64_t i) {
    const std::string bytes = Picture(i);
    NewPicture picture;
    picture.image = AsBytes(bytes);
    picture.pin.description = i % 2 == 0 ? "even disks" : "odd disks";
    picture.has_words = true;
    const auto added = adder.Add(picture, Deadline::After(std::chrono::seconds(60)));
    ASSERT_TRUE(added.ok()) << added.status();
    EXPECT_TRUE(added->searchable) << added->reason;
  };
  const auto expect_found = [&](SearchService& asked, uint64_t i) {
    const std::string part = *EncodeJpeg(Middle(Disks(i)), 85);
    const auto answer = asked.Search(Upload(part));
    ASSERT_TRUE(answer.ok() && !answer->results.empty()) << answer.status();
    EXPECT_EQ(answer->results[0].hit.signature, SignatureOf(i)) << i;
    ASSERT_TRUE(answer->results[0].hit.evidence.tokens) << i;
    EXPECT_GT(answer->results[0].hit.evidence.tokens->verified, 20u) << i;
  };
  for (uint64_t i = 20; i < 26; ++i) {
    post(i);
    expect_found(**service, i);
  }
  for (uint64_t i = 20; i < 26; ++i) expect_found(**service, i);
  expect_found(**service, 3);

  SearchRequest known;
  known.signature = SignatureOf(20);
  known.ranking.collapse = false;
  const auto answer = (*service)->Search(known);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_TRUE(answer->results[0].hit.evidence.tokens) << "its keypoints are found in the picture";
  std::map<Signature, float> words;
  for (const auto& result : answer->results) {
    const SignalValues& signals = result.hit.evidence.signals;
    if (signals.has(Signal::kAnnotation)) words[result.hit.signature] = signals[Signal::kAnnotation];
  }
  ASSERT_TRUE(words.contains(SignatureOf(22)) && words.contains(SignatureOf(23)));
  EXPECT_GT(words[SignatureOf(22)], words[SignatureOf(23)]);

  const auto anew = SearchService::Open(*home_, 2);
  for (uint64_t i = 20; i < 26; ++i) expect_found(**anew, i);
}

TEST_F(TokenQueryTest, WithoutTheirVocabularyTheLookAnswers) {
  Configure("[local]\nvocabulary = \"missing\"\n");
  const std::string picture = Picture(2);
  const SearchAnswer answer = Ask(Upload(picture));
  ASSERT_FALSE(answer.results.empty());
  EXPECT_EQ(answer.results[0].hit.signature, SignatureOf(2));
  EXPECT_FALSE(answer.results[0].hit.evidence.tokens);
}

TEST_F(TokenQueryTest, WithADamagedVocabularyTheLookAnswers) {
  std::string words = *ReadFile(*FindVocabulary(home_->path()));
  words[words.size() - 100] = static_cast<char>(words[words.size() - 100] ^ 1);
  ASSERT_TRUE(WriteFileAtomic(folder_ / "home" / "vocabularies" / "default.safetensors", AsBytes(words)).ok());
  const std::string picture = Picture(2);
  const SearchAnswer answer = Ask(Upload(picture));
  ASSERT_FALSE(answer.results.empty()) << "no fault of the picture's";
  EXPECT_EQ(answer.results[0].hit.signature, SignatureOf(2));
  EXPECT_FALSE(answer.results[0].hit.evidence.tokens);
}

TEST_F(TokenQueryTest, APictureWithoutKeypointsAsksByItsLook) {
  Pixels flat{.width = 200, .height = 100, .rgb = {}, .full_width = 200, .full_height = 100};
  flat.rgb.assign(size_t{3} * 200 * 100, 90);
  const std::string picture = *EncodeJpeg(flat, 90);
  const SearchAnswer answer = Ask(Upload(picture));
  EXPECT_EQ(answer.results.size(), 12u);
  for (const auto& result : answer.results) EXPECT_FALSE(result.hit.evidence.tokens);
}

}  // namespace
}  // namespace likeness
