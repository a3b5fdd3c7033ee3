// Which pairs a map explains is the same at every level of the processor, and as defined.
#include "kernel/pair_map.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/random.h"
#include "kernel/cpu.h"

namespace likeness {
namespace {

// As the header says it, in double.
double Excess(const PointPairs& pairs, const PairMap& map, size_t i) {
  const double x = double{map.a} * pairs.qx[i] + double{map.b} * pairs.qy[i] + map.left - pairs.dx[i];
  const double y = double{map.c} * pairs.qx[i] + double{map.d} * pairs.qy[i] + map.top - pairs.dy[i];
  const double away = std::hypot(pairs.dx[i] - map.center_x, pairs.dy[i] - map.center_y);
  const double may = map.factor * (map.base + map.cone * away + map.slack_share * pairs.slack[i]);
  const double turn = std::remainder(double{pairs.turn[i]} - map.turn, 2 * std::numbers::pi);
  return std::max({std::hypot(x, y) - may, std::abs(turn) - map.most_turn,
                   std::abs(double{pairs.log_scale[i]} - map.log_scale) - map.most_log_scale});
}

TEST(MarkExplained, EqualsTheDefinitionAtEveryLevel) {
  constexpr uint64_t kSeed = 43;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  Random random(kSeed);
  const auto between = [&](double least, double most) {
    return static_cast<float>(least + (most - least) * random.Unit());
  };
  size_t explained = 0, others = 0;
  for (const size_t count : {0, 1, 7, 8, 15, 16, 63, 64, 65, 300}) {
    std::array<std::vector<float>, 7> columns;
    for (size_t i = 0; i < count; ++i) {
      for (size_t c = 0; c < 4; ++c) columns[c].push_back(between(0, 512));
      columns[4].push_back(between(-1, 1));
      columns[5].push_back(between(-std::numbers::pi, std::numbers::pi));
      columns[6].push_back(between(0, 10));
    }
    const PointPairs pairs{columns[0], columns[1], columns[2], columns[3], columns[4], columns[5], columns[6]};
    for (int trial = 0; trial < 20; ++trial) {
      PairMap map{.a = between(0.5, 1), .b = between(-0.3, 0.3), .left = between(0, 100)};
      map.c = -map.b;
      map.d = map.a;
      map.top = between(0, 100);
      map.log_scale = between(-0.5, 0.5);
      map.turn = between(-std::numbers::pi, std::numbers::pi);
      map.most_log_scale = 0.8f;
      map.most_turn = between(1, 3);
      map.factor = between(1, 3);
      map.base = between(20, 80);
      map.cone = trial % 2 == 0 ? 0.3f : 0;
      map.center_x = map.center_y = 250;
      map.slack_share = trial % 3 == 0 ? 1.0f : 0;
      std::vector<uint64_t> truth((count + 63) / 64, 99);
      {
        const ForceCpuLevelForTest force(CpuLevel::kScalar);
        MarkExplained(pairs, map, truth);
      }
      for (size_t i = 0; i < 64 * truth.size(); ++i) {
        const bool marked = truth[i / 64] >> (i % 64) & 1;
        if (i >= count) {
          ASSERT_FALSE(marked);
        } else if (const double excess = Excess(pairs, map, i); std::abs(excess) > 1e-3) {
          ASSERT_EQ(marked, excess < 0) << i;
          ++(marked ? explained : others);
        }
      }
      for (const CpuLevel level : AvailableCpuLevels()) {
        const ForceCpuLevelForTest force(level);
        std::vector<uint64_t> out(truth.size(), 7);
        MarkExplained(pairs, map, out);
        ASSERT_EQ(out, truth) << CpuLevelName(level) << " " << count;
      }
    }
  }
  EXPECT_GT(explained, 300u);
  EXPECT_GT(others, 300u);
}

}  // namespace
}  // namespace likeness
