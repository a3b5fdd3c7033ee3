// 200 broken, hostile or odd files among 500 good ones: every good one is indexed, every bad one is listed with its
// reason, and memory stays bounded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <map>
#include <set>

#include "base/bytes.h"
#include "base/file.h"
#include "tests/fault/process.h"
#include "tests/support/odd_files.h"
#include "tests/support/scratch_folder.h"

namespace likeness {
namespace {

constexpr int kGood = 500;
constexpr int kOdd = 200;

TEST(BadInput, NeverStopsARunAndIsListedWithItsReason) {
  if (ModelIsMissing()) GTEST_SKIP();
  const ScratchFolder scratch;
  const auto pictures = std::filesystem::canonical(scratch.path()) / "pictures";
  for (int i = 0; i < kGood; ++i) {
    ASSERT_TRUE(WriteFileAtomic(pictures / ("good" + std::to_string(i) + ".jpg"), AsBytes(MakeJpeg(i, 240, 180))).ok());
  }
  std::map<std::string, bool> odd;  // path -> may be indexed
  std::set<std::string> distinct_ok;
  for (const OddFile& file : MakeOddFiles(7, kOdd)) {
    const auto path = pictures / file.name;
    ASSERT_TRUE(WriteFileAtomic(path, AsBytes(file.bytes)).ok());
    ASSERT_TRUE(odd.emplace(path.string(), file.expect_ok).second) << "two odd files of one name: " << file.name;
    if (file.expect_ok) distinct_ok.insert(Sha256Hex(AsBytes(file.bytes)));
  }
  const std::string home = (scratch.path() / "home").string();
  uint64_t peak = 0;
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"--home", home, "add", pictures.string()}, {"--home", home, "fingerprint"}, {"--home", home, "index"}}) {
    const ProcessResult result = RunLikeness(arguments);
    ASSERT_EQ(result.exit_code, 0) << arguments[2];
    peak = std::max(peak, result.peak_bytes);
  }
  std::cout << "peak resident memory " << (peak >> 20) << " MiB\n";
  EXPECT_LT(peak, uint64_t{1} << 30) << "resident bytes";

  const nlohmann::json status = RunLikeness({"--home", home, "status", "--json"}).LastLine();
  ASSERT_TRUE(status.is_object());
  EXPECT_EQ(status["release"]["images"], kGood + distinct_ok.size());
  std::map<std::string, std::string> quarantined;
  for (const auto& one : status["quarantined"]) quarantined[one["source"]] = one["reason"];
  size_t bad = 0;
  for (const auto& [path, expect_ok] : odd) {
    if (expect_ok) {
      EXPECT_FALSE(quarantined.contains(path)) << path << ": " << quarantined[path];
      continue;
    }
    ++bad;
    ASSERT_TRUE(quarantined.contains(path)) << path << " is not listed";
    EXPECT_GE(quarantined[path].size(), 5u) << path << " has no reason that says anything";
  }
  EXPECT_GE(bad, kOdd / 2u) << "the odd files should be bad, most of them";
}

}  // namespace
}  // namespace likeness
