// Faults of the world between a run and its store, and runs side by side: a clear error or a recovery, and then the
// same bytes as if nothing had happened.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <thread>

#include "base/file.h"
#include "object/faulty_store.h"
#include "pipeline/add.h"
#include "pipeline/engines.h"
#include "pipeline/fingerprint.h"
#include "support/fixed_clock.h"
#include "support/odd_files.h"
#include "support/scratch_folder.h"
#include "support/tiny_model.h"

namespace likeness {
namespace {

using testing::HasSubstr;

constexpr int kPictures = 8;

// Owns the store that it passes calls on to.
class Faulty final : public ObjectStore {
 public:
  explicit Faulty(std::unique_ptr<ObjectStore> inner) : inner_(std::move(inner)), faulty_(*inner_) {}
  FaultyStore& faults() { return faulty_; }

  absl::Status Put(std::string_view key, std::span<const std::byte> bytes, const PutOptions& options) override {
    return faulty_.Put(key, bytes, options);
  }
  absl::Status PutFile(std::string_view key, const std::filesystem::path& path, const PutOptions& options) override {
    return faulty_.PutFile(key, path, options);
  }
  absl::StatusOr<Blob> Get(std::string_view key) override { return faulty_.Get(key); }
  absl::StatusOr<std::string> GetRange(std::string_view key, uint64_t offset, uint64_t size) override {
    return faulty_.GetRange(key, offset, size);
  }
  absl::StatusOr<std::optional<ObjectInfo>> Head(std::string_view key) override { return faulty_.Head(key); }
  absl::StatusOr<std::vector<ObjectInfo>> List(std::string_view prefix, std::string_view start_after,
                                               size_t limit) override {
    return faulty_.List(prefix, start_after, limit);
  }
  absl::Status Delete(std::string_view key) override { return faulty_.Delete(key); }
  absl::StatusOr<std::filesystem::path> LocalFile(std::string_view key) override { return faulty_.LocalFile(key); }

 private:
  std::unique_ptr<ObjectStore> inner_;
  FaultyStore faulty_;
};

// The home, with a store that fails as it is told to.
std::unique_ptr<Home> OpenFaulty(const std::filesystem::path& path, FaultyStore*& faults) {
  WrapObjects([&](std::unique_ptr<ObjectStore> inner) {
    auto faulty = std::make_unique<Faulty>(std::move(inner));
    faults = &faulty->faults();
    return faulty;
  });
  auto home = *Home::Open(path, false);
  WrapObjects(nullptr);
  return home;
}

absl::Status RunAll(Home& home) {
  LIKENESS_ASSIGN_OR_RETURN(const Extractors extractors, CurrentExtractors(home));
  LIKENESS_RETURN_IF_ERROR(RunFingerprint(home, extractors, {}).status());
  LIKENESS_ASSIGN_OR_RETURN(const auto features, BuildFeatures(home, KeysOf(extractors)));
  return BuildIndex(home, features, {}, FixedClock("2026-11-22")).status();
}

class Faults : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < kPictures; ++i) {
      ASSERT_TRUE(WriteFileAtomic(pictures_ / (std::to_string(i) + ".jpg"), AsBytes(MakeJpeg(i, 40, 30))).ok());
    }
    ASSERT_TRUE(InstallTinyModel(scratch_.path() / "models", "tiny").ok());
    const auto home = Make("reference");
    ASSERT_TRUE(RunAll(*home).ok());
    expected_ = Outputs("reference");
    ASSERT_FALSE(expected_.empty());
  }

  std::unique_ptr<Home> Make(const std::string& name) {
    const auto path = scratch_.path() / name;
    std::filesystem::create_directories(path);
    std::filesystem::copy(scratch_.path() / "models", path / "models");
    const std::string toml =
        "threads = 1\n[deep]\nmodels = [\"tiny\"]\ncode_bits = 64\n[features]\ntypes = [\"deep\", \"pdq\"]\n"
        "[fingerprint]\nchunk_images = 4\n";
    EXPECT_TRUE(WriteFileAtomic(path / "likeness.toml", AsBytes(toml)).ok());
    auto home = *Home::Open(path, true);
    EXPECT_TRUE(AddFolder(*home, pictures_, {}, {}, FixedClock("2026-11-22")).ok());
    return home;
  }
  std::unique_ptr<Home> Again(const std::string& name) { return *Home::Open(scratch_.path() / name, false); }

  // The content of all objects; parts that a fault has left are among them.
  std::map<std::string, std::string> Outputs(const std::string& name) const {
    std::map<std::string, std::string> outputs;
    const auto objects = scratch_.path() / name / "objects";
    for (const auto& entry : std::filesystem::recursive_directory_iterator(objects)) {
      if (!entry.is_regular_file() || entry.path().filename().string().starts_with('.')) continue;
      outputs[entry.path().lexically_relative(objects)] = *ReadFile(entry.path());
    }
    return outputs;
  }

  // Whether the run goes well, or fails with what `clear` accepts; then that it goes on to the same bytes. Returns how
  // many calls of the fault's kind an attempt makes.
  uint64_t Meets(const StoreFault& fault, const std::function<bool(const absl::Status&)>& clear) {
    Make("home");
    FaultyStore* faults = nullptr;
    const auto home = OpenFaulty(scratch_.path() / "home", faults);
    faults->Inject(fault);
    const absl::Status status = RunAll(*home);
    EXPECT_TRUE(status.ok() || clear(status)) << status;
    const uint64_t calls = faults->calls(fault.call);
    EXPECT_TRUE(RunAll(*Again("home")).ok());
    EXPECT_EQ(Outputs("home"), expected_) << "fault " << static_cast<int>(fault.kind) << " at call " << fault.nth
                                          << " of kind " << static_cast<int>(fault.call) << ": " << status;
    std::filesystem::remove_all(scratch_.path() / "home");
    return calls;
  }

  const ScratchFolder scratch_;
  const std::filesystem::path pictures_ = scratch_.path() / "pictures";
  std::map<std::string, std::string> expected_;
};

TEST_F(Faults, AFullDiskStopsTheRunWithASentence) {
  const auto full = [](const absl::Status& status) {
    return absl::IsResourceExhausted(status) && MessageOf(status).find("no space") != std::string::npos;
  };
  for (const StoreCall call : {StoreCall::kPut, StoreCall::kPutFile}) {
    for (uint64_t nth = 1, calls = 1; nth <= calls; ++nth) {
      calls = Meets({.call = call, .nth = nth, .times = UINT64_MAX, .status = absl::ResourceExhaustedError("no space")},
                    full);
    }
  }
}

TEST_F(Faults, APutThatIsRefusedOrWhoseAnswerIsLostIsMadeAgain) {
  const auto refused = [](const absl::Status& status) { return absl::IsUnavailable(status); };
  for (const StoreCall call : {StoreCall::kPut, StoreCall::kPutFile}) {
    for (const auto kind : {StoreFault::Kind::kFail, StoreFault::Kind::kLostAnswer}) {
      for (uint64_t nth = 1, calls = 1; nth <= calls; nth += 2) {
        calls = Meets({.call = call, .nth = nth, .kind = kind}, refused);
      }
    }
  }
}

TEST_F(Faults, ABitThatIsReadWrongChangesNothing) {
  const auto seen = [](const absl::Status& status) { return BlameOf(status) == Blame::kData; };
  for (const StoreCall call : {StoreCall::kGet, StoreCall::kGetRange, StoreCall::kLocalFile}) {
    for (uint64_t nth = 1, calls = 1; nth <= calls; ++nth) {
      calls = Meets({.call = call, .nth = nth, .kind = StoreFault::Kind::kFlipBit, .bit = 7919 * nth}, seen);
    }
  }
}

TEST_F(Faults, TwoOfEachJobAtOnceDoItOnce) {
  for (int round = 0; round < 5; ++round) {
    const auto one = Make("home");
    const auto two = Again("home");
    const auto features = *CurrentFeatures(*one);
    const auto extractors = *CurrentExtractors(*one);
    const auto both = [&](const std::function<void(Home&)>& job) {
      std::thread other([&] { job(*two); });
      job(*one);
      other.join();
    };
    std::atomic<uint64_t> published = 0, computed = 0;
    both([&](Home& home) {
      const auto plan = RunPlan(home, features, {});
      ASSERT_TRUE(plan.ok()) << plan.status();
      EXPECT_EQ(plan->chunks, 2u);
      published += plan->published;
    });
    EXPECT_EQ(published, 2u);
    EXPECT_EQ(one->queue().Stats()->waiting, 2u);
    both([&](Home& home) {
      WorkReport report;
      const absl::Status worked = RunWorker(home, extractors, {.name = WorkerName(), .until_idle = true}, {}, report);
      ASSERT_TRUE(worked.ok()) << worked;
      computed += report.computed;
    });
    EXPECT_EQ(computed, 2u * kPictures);
    both([&](Home& home) {
      const auto joined = RunJoin(home, features, {});
      ASSERT_TRUE(joined.ok()) << joined.status();
    });
    both([&](Home& home) {
      const auto built = BuildFeatures(home, features);
      ASSERT_TRUE(built.ok()) << built.status();
      const auto materialised = MaterialiseFingerprints(home, *built, {});
      ASSERT_TRUE(materialised.ok()) << materialised.status();
      const auto index = BuildIndex(home, *built, {}, FixedClock("2026-11-22"));
      ASSERT_TRUE(index.ok()) << index.status();
    });
    EXPECT_EQ(Outputs("home"), expected_) << "round " << round;
    std::filesystem::remove_all(scratch_.path() / "home");
  }
}

TEST_F(Faults, AClockThatJumpsLosesNothing) {
  const auto home = Make("home");
  const auto more = scratch_.path() / "more";
  ASSERT_TRUE(RunAll(*home).ok());
  int images = kPictures;
  for (const char* day : {"2019-01-01", "2031-05-05", "2026-11-22"}) {
    const std::string name = std::to_string(images) + ".jpg";
    ASSERT_TRUE(WriteFileAtomic(more / name, AsBytes(MakeJpeg(images, 40, 30))).ok());
    ASSERT_TRUE(AddFolder(*home, more, {}, {}, FixedClock(day)).ok());
    const auto report = RunFingerprint(*home, *CurrentExtractors(*home), {});
    ASSERT_TRUE(report.ok()) << day << ": " << report.status();
    EXPECT_EQ(report->work.decoded, 1u) << day;
    const auto features = *BuildFeatures(*home, *CurrentFeatures(*home));
    const auto index = BuildIndex(*home, features, {}, FixedClock(day));
    ASSERT_TRUE(index.ok()) << day << ": " << index.status();
    EXPECT_EQ((*index)->release.images(), static_cast<uint64_t>(++images)) << day;
    EXPECT_TRUE((*index)->switched) << day;
  }
}

}  // namespace
}  // namespace likeness
