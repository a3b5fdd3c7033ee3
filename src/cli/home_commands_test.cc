// What commands tell people about a home, beside what they do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/command.h"
#include "rank/floor.h"
#include "support/tiny_home.h"

namespace likeness {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

constexpr char kHint[] = "how sure a hit is, your 2 larger boards can teach: run `likeness train floor`\n";

// The model is called as the one that the program has a calibration of.
class HomeCommandsTest : public TinyHomeTest {
 protected:
  HomeCommandsTest() : TinyHomeTest("efficientnet_lite1") {}

  // As the command line runs it.
  CommandOutput Run(std::string words) {
    Program program;
    program.flags.home = folder_ / "home";
    AddIndexCommand(program);
    AddSearchCommand(program);
    if (words.ends_with(" --json")) {
      program.flags.json = true;
      words.resize(words.size() - std::string(" --json").size());
    }
    program.app.parse(words);
    const absl::StatusOr<CommandOutput> output = program.run();
    EXPECT_TRUE(output.ok()) << output.status();
    return output.ok() ? *output : CommandOutput();
  }

  void Calibrate(const std::string& feature) {
    FloorModel::Parameters parameters = FloorModel::Default("deep.efficientnet_lite1")->parameters();
    parameters.feature = feature;
    const std::string text = FloorModel::Create(parameters)->ToJson();
    ASSERT_TRUE(WriteFileAtomic(folder_ / "home" / "ranking" / "floor.json", AsBytes(text)).ok());
  }
};

TEST_F(HomeCommandsTest, IndexSaysThatBoardsCanCalibrateAndSearchIsSureOnceTheyDid) {
  std::vector<BoardPin> pins;
  for (int i = 0; i < 7; ++i) pins.push_back({i, i < 4 ? "a" : "b"});
  Ingest(pins);
  EXPECT_THAT(Run("index").text, Not(HasSubstr("train floor"))) << "b has too few pictures";
  pins.push_back({7, "b"});
  Ingest(pins);
  EXPECT_THAT(Run("index").text, EndsWith(kHint));
  EXPECT_THAT(Run("index --json").text, Not(HasSubstr("train floor")));
  const std::string search = "search --all " + SignatureOf(0).Hex();
  CommandOutput found = Run(search);
  EXPECT_THAT(found.text, Not(HasSubstr("%"))) << "by the program's calibration it is not known here";
  EXPECT_TRUE(found.json["results"][0]["evidence"].contains("probability"));
  EXPECT_EQ(found.json["ranking"]["calibration"], "shipped");

  Calibrate("deep.another");
  EXPECT_THAT(Run("index").text, EndsWith(kHint));
  Calibrate("deep.efficientnet_lite1");
  EXPECT_THAT(Run("index").text, Not(HasSubstr("train floor")));
  found = Run(search);
  EXPECT_THAT(found.text, MatchesRegex("^ 1.000  +0/64 bits  +[0-9]+ % sure  " + SignatureOf(0).Hex() + "(.|\n)*"));
  EXPECT_EQ(found.json["ranking"]["calibration"], "home");
}

}  // namespace
}  // namespace likeness
