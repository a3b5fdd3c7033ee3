// kill -9 at any moment of add, fingerprint and index loses nothing and changes nothing: after running the same
// commands again, the object store holds the same bytes as after an undisturbed run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <random>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"
#include "tests/fault/process.h"
#include "tests/support/odd_files.h"
#include "tests/support/scratch_folder.h"

namespace likeness {
namespace {

constexpr int kKills = 20;
constexpr int kPictures = 60;

const std::vector<std::string> kCommands = {"add", "fingerprint", "index"};

std::vector<std::string> Arguments(const std::string& command, const std::filesystem::path& home,
                                   const std::filesystem::path& pictures) {
  std::vector<std::string> arguments = {"--home", home.string(), command, "--json"};
  if (command == "add") arguments.push_back(pictures.string());
  return arguments;
}

// Digests of all objects by key. A release also says when it was made, which is left out; the rest of it counts.
std::map<std::string, std::string> Objects(const std::filesystem::path& home) {
  std::map<std::string, std::string> objects;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(home / "objects")) {
    if (!entry.is_regular_file() || entry.path().filename().string().starts_with('.')) continue;
    const std::string key = entry.path().lexically_relative(home / "objects").string();
    if (key.find(".tmp") != std::string::npos) continue;  // what a killed writer left; no reader ever sees it
    std::string content = *ReadFile(entry.path());
    if (key.starts_with("releases/")) {
      nlohmann::json release = nlohmann::json::parse(content, nullptr, false);
      EXPECT_EQ(release.erase("created"), 1u) << key;
      content = release.dump();
    }
    objects[key] = Sha256Hex(AsBytes(content));
  }
  return objects;
}

void Prepare(const std::filesystem::path& home) {
  // Small chunks, so that a kill finds the run in every state.
  std::filesystem::create_directories(home);
  ASSERT_TRUE(
      WriteFileAtomic(home / "likeness.toml", AsBytes("[fingerprint]\nchunk_images = 8\nshard_images = 25\n")).ok());
}

TEST(Kill, AtAnyMomentLosesNothingAndChangesNothing) {
  if (ModelIsMissing()) GTEST_SKIP();
  const uint64_t seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  Random random(seed);
  const ScratchFolder scratch;
  const auto pictures = scratch.path() / "pictures";
  for (int i = 0; i < kPictures; ++i) {
    ASSERT_TRUE(WriteFileAtomic(pictures / (std::to_string(i) + ".jpg"), AsBytes(MakeJpeg(i, 200, 150))).ok());
  }
  const auto reference = scratch.path() / "reference";
  Prepare(reference);
  std::map<std::string, double> seconds;
  for (const std::string& command : kCommands) {
    const ProcessResult result = RunLikeness(Arguments(command, reference, pictures));
    ASSERT_EQ(result.exit_code, 0) << command;
    seconds[command] = result.seconds;
  }
  const auto expected = Objects(reference);
  ASSERT_FALSE(expected.empty());

  int landed = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    const auto home = scratch.path() / ("home" + std::to_string(kill));
    Prepare(home);
    const size_t victim = random.Below(kCommands.size());
    for (size_t i = 0; i < victim; ++i) {
      ASSERT_EQ(RunLikeness(Arguments(kCommands[i], home, pictures)).exit_code, 0);
    }
    const auto after =
        std::chrono::microseconds(static_cast<int64_t>(seconds[kCommands[victim]] * 1e6 * random.Unit()));
    landed += RunLikeness(Arguments(kCommands[victim], home, pictures), after).exit_code == -1;
    for (const std::string& command : kCommands) {
      const ProcessResult again = RunLikeness(Arguments(command, home, pictures));
      ASSERT_EQ(again.exit_code, 0) << command << " after killing " << kCommands[victim] << " at " << after.count()
                                    << " us, seed " << seed;
    }
    EXPECT_EQ(Objects(home), expected) << "after killing " << kCommands[victim] << " at " << after.count()
                                       << " us, seed " << seed;
    std::filesystem::remove_all(home);
  }
  EXPECT_GE(landed, kKills / 2) << "most kills found the process at work";
}

TEST(Again, ComputesNothingTwice) {
  if (ModelIsMissing()) GTEST_SKIP();
  const ScratchFolder scratch;
  const auto pictures = scratch.path() / "pictures";
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(WriteFileAtomic(pictures / (std::to_string(i) + ".jpg"), AsBytes(MakeJpeg(i, 200, 150))).ok());
  }
  const auto home = scratch.path() / "home";
  for (const std::string& command : kCommands) {
    ASSERT_EQ(RunLikeness(Arguments(command, home, pictures)).exit_code, 0);
  }
  // Everything again: nothing is read, nothing is computed, nothing is built.
  EXPECT_EQ(RunLikeness(Arguments("add", home, pictures)).LastLine()["read"], 0);
  EXPECT_EQ(RunLikeness(Arguments("fingerprint", home, pictures)).LastLine()["computed"], 0);
  EXPECT_EQ(RunLikeness(Arguments("index", home, pictures)).LastLine()["switched"], false);
}

}  // namespace
}  // namespace likeness
