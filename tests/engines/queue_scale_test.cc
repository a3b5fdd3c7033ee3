// A long queue in an SQLite file.
#include "engines/queue_cost.h"
#include "queue/sql_queue.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

TEST(QueueScale, APullDoesNotGrowWithWhatWaits) {
  const ScratchFolder folder;
  const auto small = OpenSqliteQueue(folder.path() / "small.sqlite");
  const auto large = OpenSqliteQueue(folder.path() / "large.sqlite");
  ASSERT_TRUE(small.ok() && large.ok());
  ExpectPullsThatDoNotGrow(**small, **large, 1'000'000);
}

}  // namespace
}  // namespace likeness
