// The object store on a real S3 gateway: what every store promises, and what only S3 can get wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"
#include "object/s3_store.h"
#include "support/engines.h"
#include "support/object_store_suite.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

using testing::HasSubstr;

// A prefix of its own for each store. Nothing where no gateway was started.
std::optional<S3Options> Options(const std::filesystem::path& cache = {}) {
  static std::atomic<int> count{0};
  if (!EngineSetting("LIKENESS_TEST_S3_ENDPOINT")) return std::nullopt;
  S3Options options;
  options.endpoint = *EngineSetting("LIKENESS_TEST_S3_ENDPOINT");
  options.bucket = *EngineSetting("LIKENESS_TEST_S3_BUCKET");
  options.prefix = "test/" + std::to_string(::getpid()) + "-" + std::to_string(count++);
  options.credentials = {*EngineSetting("LIKENESS_TEST_S3_ACCESS_KEY"), *EngineSetting("LIKENESS_TEST_S3_SECRET_KEY")};
  options.cache = cache;
  return options;
}

std::unique_ptr<ObjectStore> OpenStore(const std::filesystem::path& folder, uint64_t multipart_from) {
  std::optional<S3Options> options = Options(folder);
  if (!options) return nullptr;
  options->multipart_from = multipart_from;
  auto store = S3Store::Open(*options);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

INSTANTIATE_TEST_SUITE_P(
    S3, ObjectStoreTest,
    testing::Values(ObjectStoreKind{"Whole", [](const auto& folder) { return OpenStore(folder, 64 << 20); }, false},
                    ObjectStoreKind{"InParts", [](const auto& folder) { return OpenStore(folder, 1 << 20); }, false}),
    NameOfStore);

}  // namespace
}  // namespace likeness
