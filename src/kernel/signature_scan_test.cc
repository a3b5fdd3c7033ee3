#include "kernel/signature_scan.h"

#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "base/random.h"
#include "kernel/cpu.h"

namespace likeness {
namespace {

TEST(SignatureScanTest, EveryVersionFindsWhatIsNear) {
  Random random(5);
  for (const CpuLevel level : AvailableCpuLevels()) {
    const ForceCpuLevelForTest force(level);
    for (const size_t count : {0, 1, 63, 64, 65, 200, 1000}) {
      const uint64_t query = random();
      std::vector<uint64_t> signatures(count);
      for (uint64_t& signature : signatures) {
        signature = query;
        for (size_t i = random.Below(64); i > 0; --i) signature ^= uint64_t{1} << random.Below(64);
      }
      for (const uint32_t limit : {0u, 10u, 22u, 64u}) {
        std::vector<uint64_t> masks((count + 63) / 64, ~uint64_t{0});
        SignaturesWithin(signatures, query, limit, masks);
        for (size_t i = 0; i < 64 * masks.size(); ++i) {
          const bool near = i < count && static_cast<uint32_t>(std::popcount(signatures[i] ^ query)) <= limit;
          ASSERT_EQ((masks[i / 64] >> (i % 64) & 1) != 0, near) << CpuLevelName(level) << " " << count << " " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace likeness
