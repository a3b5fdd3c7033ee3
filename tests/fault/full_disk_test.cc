// A disk that is full, a real one: the home on a file system of a few megabytes in memory, which gets a little more
// room after each run that found none. Every run ends with a sentence, and at the end the bytes are those of a run with
// room.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <sstream>

#include "base/clock.h"
#include "base/file.h"
#include "tests/fault/collection.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_model.h"
#include "types/epoch.h"

namespace likeness {
namespace {

// In a place of its own for mounts, as a user who may mount there: $1 is where, $2 the program, $3 a folder with the
// home's beginnings, $4 the list of pictures, $5 where the results go, $6 the first size in KiB (0: with room at once).
// A run is three commands; the first that fails ends it, and there is more room for the next.
constexpr const char* kScript = R"sh(
set -u
size=$6
[ "$size" -gt 0 ] && limit="size=${size}k" || limit=size=1g
mount -t tmpfs -o "$limit" tmpfs "$1" || exit 77
mkdir "$1/home" && cp -r "$3/." "$1/home" || exit 78
runs=0
while :; do
  runs=$((runs + 1))
  failed=
  for words in "add $4" fingerprint index; do
    "$2" --home "$1/home" --json $words >"$5/out" 2>"$5/err"
    code=$?
    if [ $code -ne 0 ]; then
      failed=1
      echo "$code ${words%% *}: $(tr '\n' '|' <"$5/err")" >>"$5/failures"
      break
    fi
  done
  [ -n "$failed" ] || break
  [ "$runs" -lt 200 ] || exit 79
  size=$((size + 24))
  mount -o "remount,size=${size}k" "$1" || exit 80
done
"$2" --home "$1/home" status 2>"$5/err" | grep -v '^  worker ' >"$5/status" || exit 81
cd "$1/home/objects" && find features fingerprints indexes -type f | sort | xargs sha256sum >"$5/digests"
)sh";

std::string Content(const std::filesystem::path& path) { return ReadFile(path).value_or(""); }

// The script's exit code; its results are in `results`.
int RunScript(const std::filesystem::path& scratch, const std::filesystem::path& results, int first_kib) {
  std::filesystem::create_directories(results);
  std::filesystem::create_directories(scratch / "disk");
  Process process(
      "/usr/bin/unshare",
      {"-rm", "/bin/sh", "-c", kScript, "full_disk", (scratch / "disk").string(), LIKENESS_BINARY,
       (scratch / "seed").string(), (scratch / "pictures.txt").string(), results.string(), std::to_string(first_kib)},
      results / "log");
  return process.Wait();
}

TEST(FullDisk, EachRunEndsWithASentenceAndNothingIsLost) {
  const auto pictures = ProductPictures(400);
  if (pictures.empty()) GTEST_SKIP();
  const ScratchFolder scratch;
  std::filesystem::create_directories(scratch.path() / "seed");
  ASSERT_TRUE(InstallTinyModel(scratch.path() / "seed" / "models", "tiny").ok());
  std::ofstream(scratch.path() / "seed" / "likeness.toml")
      << "threads = 2\n[deep]\nmodels = [\"tiny\"]\ncode_bits = 64\n[features]\ntypes = [\"deep\", \"pdq\"]\n"
      << "[fingerprint]\nshard_images = 150\nchunk_images = 40\npart_images = 20\n";
  std::ofstream list(scratch.path() / "pictures.txt");
  for (const auto& picture : pictures) list << picture.string() << "\n";
  list.close();

  const auto today = [] { return Epoch::Of(Clock::System().Now()).ToString(); };
  std::string day;
  std::filesystem::path small, large;
  do {  // Both on one day, which is part of what is written.
    day = today();
    large = scratch.path() / ("large_" + day);
    small = scratch.path() / ("small_" + day);
    const int code = RunScript(scratch.path(), large, 0);
    if (code == 1 || code == 77) GTEST_SKIP() << "nobody may mount here: " << Content(large / "log");
    ASSERT_EQ(code, 0) << Content(large / "log") << Content(large / "failures");
    ASSERT_EQ(RunScript(scratch.path(), small, 200), 0) << Content(small / "log") << Content(small / "failures");
  } while (today() != day);

  std::istringstream failures(Content(small / "failures"));
  int count = 0;
  for (std::string line; std::getline(failures, line); ++count) {
    EXPECT_EQ(line.substr(0, 2), "1 ") << "no exit of a command that failed: " << line;
    EXPECT_THAT(line, testing::AnyOf(testing::HasSubstr("No space left on device"),
                                     testing::HasSubstr("the disk of the database is full"),
                                     testing::HasSubstr("the disk of the database fails, or is full")));
    const size_t sentence = line.find("likeness: ");
    EXPECT_EQ(line.find("likeness: ", sentence + 1), std::string::npos) << "said twice: " << line;
    EXPECT_THAT(line.substr(sentence), testing::EndsWith("free some space and run this again|"));
  }
  EXPECT_GE(count, 5) << "the disk was never full";
  EXPECT_FALSE(std::filesystem::exists(large / "failures"));
  std::cout << count << " runs found no room; " << Content(small / "status");
  EXPECT_NE(Content(small / "digests"), "");
  EXPECT_EQ(Content(small / "digests"), Content(large / "digests"));
  EXPECT_EQ(Content(small / "status"), Content(large / "status"));
}

}  // namespace
}  // namespace likeness
