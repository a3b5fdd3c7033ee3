// The object store on a real S3 gateway.
#include <gtest/gtest.h>

#include "support/engines.h"

namespace likeness {
namespace {

TEST(S3, IsThere) {
  LIKENESS_REQUIRE_ENGINE("LIKENESS_TEST_S3_ENDPOINT");
  EXPECT_TRUE(EngineSetting("LIKENESS_TEST_S3_ENDPOINT")->starts_with("http://127.0.0.1:"));
}

}  // namespace
}  // namespace likeness
