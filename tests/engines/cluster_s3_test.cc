// Leaves that fetch a release from a real S3 gateway: they answer as one process does, follow a switch, and serve on
// from what they have when the gateway is gone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "support/engines.h"
#include "tests/cluster/processes.h"

namespace likeness {
namespace {

using nlohmann::json;

std::string S3Section() {
  static int number = 0;
  ::setenv("AWS_ACCESS_KEY_ID", EngineSetting("LIKENESS_TEST_S3_ACCESS_KEY")->c_str(), 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", EngineSetting("LIKENESS_TEST_S3_SECRET_KEY")->c_str(), 1);
  return "[objects]\nurl = \"s3://" + *EngineSetting("LIKENESS_TEST_S3_BUCKET") + "/cluster_" +
         std::to_string(::getpid()) + "_" + std::to_string(number++) + "\"\nendpoint = \"" +
         *EngineSetting("LIKENESS_TEST_S3_ENDPOINT") + "\"\n";
}

TEST(ClusterOnS3, LeavesServeWhatTheyFetchedAndFollowASwitch) {
  LIKENESS_REQUIRE_ENGINE("LIKENESS_TEST_S3_ENDPOINT");
  SmallCollection collection(S3Section());
  collection.Switch(collection.AddRelease(0, 80));
  const auto a = StartLeaf(collection, 2, 0), b = StartLeaf(collection, 2, 1);
  collection.SetCluster("[cluster]\nleaves = [\"" + a->address() + "\", \"" + b->address() + "\"]\n");
  const auto root = StartFace(collection, "root");
  const auto server = StartFace(collection, "serve");
  const std::vector<json> queries = {{{"k", 100}, {"signature", SmallCollection::SignatureOf(3)}},
                                     {{"k", 20}, {"signature", SmallCollection::SignatureOf(4)}, {"board", "odd"}},
                                     {{"k", 20}, {"color", "red"}}};
  for (const json& query : queries) {
    EXPECT_EQ(Search(root->port(), query), Search(server->port(), query)) << query;
  }

  collection.Switch(collection.AddRelease(80, 120));
  const auto images = [&](const auto& face) { return Search(face->port(), queries[0])["coverage"]["images"]; };
  for (int i = 0; i < 200 && (images(root) != 120 || images(server) != 120); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  for (const json& query : queries) {
    const json answer = Search(root->port(), query);
    EXPECT_EQ(answer["coverage"]["searched"], 120) << answer["coverage"];
    EXPECT_EQ(answer, Search(server->port(), query)) << query;
  }

  EXPECT_TRUE(Engines("kill s3"));
  const json alone = Search(root->port(), queries[0]);
  EXPECT_TRUE(Engines("start s3"));
  EXPECT_EQ(alone, Search(server->port(), queries[0])) << "what is being served needs no object store";
  for (const auto& one : {&a, &b, &root, &server}) EXPECT_LT((*one)->End(), 8);
}

}  // namespace
}  // namespace likeness
