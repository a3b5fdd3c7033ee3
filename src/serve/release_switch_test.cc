// A switch of releases under load: no query fails, and none is answered from two releases at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/file.h"
#include "pipeline/add.h"
#include "pipeline/fingerprint.h"
#include "pipeline/releases.h"
#include "serve/http_server.h"
#include "serve/search_service.h"
#include "serve/service_backend.h"
#include "support/odd_files.h"
#include "support/scratch_folder.h"
#include "support/tiny_model.h"

namespace likeness {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr int kSwitches = 100;
constexpr milliseconds kBetweenSwitches{40};
constexpr milliseconds kBetweenQueries{40};  // of each of two clients: 50 a second together

class ReleaseSwitchTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string toml =
        "threads = 2\n[deep]\nmodels = [\"tiny\"]\ncode_bits = 64\n[features]\ntypes = [\"deep\"]\n";
    ASSERT_TRUE(WriteFileAtomic(folder_ / "home" / "likeness.toml", AsBytes(toml)).ok());
    ASSERT_TRUE(InstallTinyModel(folder_ / "home" / "models", "tiny").ok());
    home_ = *Home::Open(folder_ / "home", true);
  }
  // A release of all pictures so far, as serving shows it: its images.
  void Create(int begin, int end) {
    std::set<std::string> images;
    for (int i = 0; i < end; ++i) images.insert(Signature::Of(AsBytes(MakeJpeg(i, 60, 40))).Hex());
    for (int i = begin; i < end; ++i) {
      const auto path = folder_ / "pictures" / ("p" + std::to_string(i) + ".jpg");
      ASSERT_TRUE(WriteFileAtomic(path, AsBytes(MakeJpeg(i, 60, 40))).ok());
    }
    ASSERT_TRUE(AddFolder(*home_, folder_ / "pictures", {}, {}).ok());
    const auto run = RunFingerprint(*home_, *CurrentExtractors(*home_), {});
    ASSERT_TRUE(run.ok()) << run.status();
    const auto report = CreateRelease(*home_, *BuildFeatures(*home_, run->features), {});
    ASSERT_TRUE(report.ok()) << report.status();
    names_.push_back((*report)->release.name);
    images_[names_.back()] = std::move(images);
  }

  const ScratchFolder scratch_;
  const std::filesystem::path folder_ = scratch_.path();
  std::unique_ptr<Home> home_;
  std::vector<std::string> names_;
  std::map<std::string, std::set<std::string>> images_;  // of each release
};

TEST_F(ReleaseSwitchTest, AHundredSwitchesUnderLoadFailAndMixNothing) {
  Create(0, 8);
  Create(8, 12);
  ASSERT_NE(names_[0], names_[1]);
  ASSERT_TRUE(*SwitchRelease(*home_, names_[0]));
  const auto service = *SearchService::Open(*home_, 1);
  ServiceBackend backend(*service);
  Api api(backend, {});
  HttpServerOptions options;
  options.port = 0;
  const auto server = *HttpServer::Start(api, options);

  std::atomic<bool> done{false};
  std::atomic<int> queries{0}, failed{0}, mixed{0};
  std::mutex mutex;
  std::set<std::string> seen;  // guarded by mutex
  const auto query = [&](int first) {
    httplib::Client client("127.0.0.1", server->port());
    client.set_keep_alive(true);
    auto next = std::chrono::steady_clock::now();
    for (int i = first; !done; i += 2) {
      // In turn: a known picture of both releases, one that is uploaded, and a page of the collection.
      const std::string picture = MakeJpeg(i % 8, 60, 40);
      const json known = {{"signature", Signature::Of(AsBytes(picture)).Hex()}, {"k", 100}};
      const auto answer = i % 3 == 0   ? client.Post("/v1/search", known.dump(), "application/json")
                          : i % 3 == 1 ? client.Post("/v1/search?k=100", picture, "image/jpeg")
                                       : client.Get("/v1/images?limit=1000");
      ++queries;
      if (!answer || answer->status != 200) {
        ++failed;
        ADD_FAILURE() << (answer ? answer->body : "no answer");
      } else {
        const json body = json::parse(answer->body);
        const std::string release = body["release"];
        std::set<std::string> images;
        for (const json& one : body[i % 3 == 2 ? "images" : "results"]) images.insert(one["signature"]);
        const size_t total = i % 3 == 2 ? body["total"].get<size_t>() : body["coverage"]["images"].get<size_t>();
        if (!images_.contains(release) || images != images_.at(release) || total != images_.at(release).size()) ++mixed;
        const std::lock_guard lock(mutex);
        seen.insert(release);
      }
      next += kBetweenQueries;
      std::this_thread::sleep_until(next);
    }
  };
  // As `likeness serve` does, only more often.
  std::thread reload([&] {
    while (!done) {
      EXPECT_TRUE(service->Reload().ok());
      std::this_thread::sleep_for(milliseconds(5));
    }
  });
  std::thread first(query, 0), second(query, 1);
  int switched = 0;
  for (int i = 1; i <= kSwitches; ++i) {
    std::this_thread::sleep_for(kBetweenSwitches);
    switched += *SwitchRelease(*home_, names_[static_cast<size_t>(i % 2)]) ? 1 : 0;
  }
  done = true;
  first.join();
  second.join();
  reload.join();
  server->Stop();
  EXPECT_EQ(switched, kSwitches);
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(mixed, 0);
  EXPECT_EQ(seen.size(), 2u) << "both releases have answered";
  EXPECT_GE(queries, 150);
  RecordProperty("queries", queries.load());
}

}  // namespace
}  // namespace likeness
