// What a run found is there for the next one to the bit; a crash, damage or another version costs no more than asking
// again.
#include "product/duplicate_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "base/file.h"
#include "product/duplicate_json.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

Signature Named(const std::string& name) { return Signature::Of(AsBytes(name)); }

DuplicateLog::Found SomeFound() {
  DuplicateLog::Found found{Named("copy"), 0.9731f, {}};
  DuplicateEvidence& e = found.evidence;
  e.hash_distance = 12;
  e.hash_form = Dihedral::kRotate90;
  e.pairs = 70;
  e.inliers = 61;
  e.transform = {0.1f, -1.0f / 3, 7, 0.2f, 1, -2.5f};
  e.query_region = {{0, 0}, {10.3f, 0}, {10, 20}};
  e.document_region = {{1, 2}, {3, 4}, {5, 6}, {7, 8}};
  e.query_coverage = 0.7f;
  e.document_coverage = 1;
  e.mirrored = true;
  e.turned = -90;
  e.scale = 0.333f;
  e.spread = 0.6f;
  e.matched = 0.4f;
  e.pixels = {{2, 0, 0, 0, 2, 0}, 0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.07f, 0.08f, 0.09f, 33, 4.5f, 50};
  return found;
}

class DuplicateLogTest : public testing::Test {
 protected:
  std::unique_ptr<DuplicateLog> Open() { return *DuplicateLog::Open(folder_, "rules"); }
  std::string Text() const { return *ReadFile(path_); }
  void Rewrite(const std::string& text) const { ASSERT_TRUE(WriteFileAtomic(path_, AsBytes(text)).ok()); }

  const ScratchFolder scratch_;
  const std::filesystem::path folder_ = scratch_.path() / "duplicates", path_ = folder_ / "rules.log";
};

TEST_F(DuplicateLogTest, IsThereForTheNextRunToTheBit) {
  const DuplicateLog::Found found = SomeFound();
  {
    const auto log = Open();
    EXPECT_THAT(log->asked(), IsEmpty());
    ASSERT_TRUE(log->Add(Named("alone"), {}).ok());
    ASSERT_TRUE(log->Add(Named("original"), {found, found}).ok());
  }
  const auto log = Open();
  ASSERT_THAT(log->asked(), SizeIs(2));
  EXPECT_THAT(log->asked().at(Named("alone")), IsEmpty());
  ASSERT_THAT(log->asked().at(Named("original")), SizeIs(2));
  const DuplicateLog::Found& again = log->asked().at(Named("original"))[0];
  EXPECT_EQ(again.image, found.image);
  EXPECT_EQ(again.score, found.score);
  EXPECT_EQ(again.evidence.transform, found.evidence.transform);
  EXPECT_EQ(again.evidence.pixels.transform, found.evidence.pixels.transform);
  EXPECT_EQ(again.evidence.pixels.color_difference, found.evidence.pixels.color_difference);
  EXPECT_EQ(again.evidence.pixels.contrast, found.evidence.pixels.contrast);
  EXPECT_EQ(again.evidence.query_region, found.evidence.query_region);
  EXPECT_EQ(again.evidence.document_region, found.evidence.document_region);
  EXPECT_EQ(DuplicateEvidenceJson(again.evidence), DuplicateEvidenceJson(found.evidence));
}

TEST_F(DuplicateLogTest, ALineThatWasCutOffIsAskedAgainAndTheRestStays) {
  ASSERT_TRUE(Open()->Add(Named("first"), {}).ok());
  ASSERT_TRUE(Open()->Add(Named("second"), {SomeFound()}).ok());
  const std::string whole = Text();
  const size_t second = whole.find('\n', whole.find('\n') + 1) + 1;
  for (size_t cut = second; cut < whole.size(); cut += 37) {
    Rewrite(whole.substr(0, cut));
    EXPECT_THAT(Open()->asked(), SizeIs(1)) << cut;
    ASSERT_TRUE(Open()->Add(Named("third"), {}).ok());
    const auto log = Open();
    EXPECT_THAT(log->asked(), SizeIs(2)) << cut;
    EXPECT_TRUE(log->asked().contains(Named("third")));
  }
}

TEST_F(DuplicateLogTest, ADamagedLineIsAskedAgain) {
  ASSERT_TRUE(Open()->Add(Named("first"), {SomeFound()}).ok());
  ASSERT_TRUE(Open()->Add(Named("second"), {}).ok());
  const std::string whole = Text();
  for (size_t at = whole.find('\n') + 1; at < whole.size() - 1; at += 11) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    Rewrite(damaged);
    EXPECT_LE(Open()->asked().size(), 1u) << at;
  }
}

TEST_F(DuplicateLogTest, OfAnotherVersionIsRefusedAndOfNoneMadeAnew) {
  std::filesystem::create_directories(folder_);
  Rewrite("likeness.duplicates 2\nwhatever\n");
  EXPECT_TRUE(absl::IsUnimplemented(DuplicateLog::Open(folder_, "rules").status()));
  Rewrite("something else");
  EXPECT_THAT(Open()->asked(), IsEmpty());
  ASSERT_TRUE(Open()->Add(Named("first"), {}).ok());
  EXPECT_THAT(Open()->asked(), SizeIs(1));
}

TEST_F(DuplicateLogTest, AFileThatCannotGrowIsAnErrorThatStays) {
  const auto log = Open();
  ASSERT_TRUE(log->Add(Named("first"), {}).ok());
  const std::string before = Text();
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit full{before.size() + 20, limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  const absl::Status refused = log->Add(Named("second"), {SomeFound()});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(BlameOf(refused), Blame::kWorld) << refused;
  EXPECT_FALSE(log->Add(Named("third"), {}).ok()) << "nothing goes behind half a line";
  EXPECT_THAT(log->asked(), SizeIs(1));
  EXPECT_THAT(Open()->asked(), SizeIs(1));
}

}  // namespace
}  // namespace likeness
