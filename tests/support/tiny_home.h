// A home of a few small pictures on boards, with a tiny model, for tests of what uses an index.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "pipeline/add.h"
#include "pipeline/fingerprint.h"
#include "pipeline/home.h"
#include "support/odd_files.h"
#include "support/scratch_folder.h"
#include "support/tiny_model.h"

namespace likeness {

// The test's room links likeness_odd_files and likeness_tiny_model.
class TinyHomeTest : public testing::Test {
 protected:
  // That picture `picture` is pinned to a board.
  struct BoardPin {
    int picture = 0;
    std::string board;
    std::string description = {};
  };

  // The one model of the home is the tiny one, under that name.
  explicit TinyHomeTest(std::string model = "tiny") : model_(std::move(model)) {}

  void SetUp() override {
    const std::string toml = "threads = 2\n[deep]\nmodels = [\"" + model_ + "\"]\ncode_bits = 64\n";
    ASSERT_TRUE(WriteFileAtomic(folder_ / "home" / "likeness.toml", AsBytes(toml)).ok());
    ASSERT_TRUE(InstallTinyModel(folder_ / "home" / "models", model_).ok());
    home_ = *Home::Open(folder_ / "home", true);
  }

  static std::string Picture(int i) { return MakeJpeg(static_cast<uint64_t>(i), 60, 40); }
  static Signature SignatureOf(int i) { return Signature::Of(AsBytes(Picture(i))); }

  // pictures/p<i>.jpg
  void Write(int i) {
    ASSERT_TRUE(WriteFileAtomic(folder_ / "pictures" / ("p" + std::to_string(i) + ".jpg"), AsBytes(Picture(i))).ok());
  }
  // Adds the pictures, each with its pins, which are called 0, 1, ..., and indexes them.
  void Ingest(const std::vector<BoardPin>& pins) {
    std::string lines;
    std::set<int> written;
    for (size_t n = 0; n < pins.size(); ++n) {
      const auto& [picture, board, description] = pins[n];
      if (written.insert(picture).second) Write(picture);
      lines += "{\"pin\":" + std::to_string(n) + ",\"image\":\"p" + std::to_string(picture) + ".jpg\",\"board\":\"" +
               board + "\",\"description\":\"" + description + "\"}\n";
    }
    std::istringstream stream(lines);
    ASSERT_TRUE(AddLines(*home_, stream, folder_ / "pictures", {}, {}).ok());
    Build();
  }
  void Build() {
    const auto run = RunFingerprint(*home_, *CurrentExtractors(*home_), {});
    ASSERT_TRUE(run.ok()) << run.status();
    ASSERT_TRUE(BuildIndex(*home_, *BuildFeatures(*home_, run->features), {}).ok());
  }

  const std::string model_;
  const ScratchFolder scratch_;
  const std::filesystem::path folder_ = scratch_.path();
  std::unique_ptr<Home> home_;
};

}  // namespace likeness
