// Sums of rows are the same at every level of the processor, and those of the definition.
#include "kernel/row_sum.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"
#include "kernel/cpu.h"

namespace likeness {
namespace {

TEST(WeightedRowSum, EqualsTheDefinitionAtEveryLevel) {
  constexpr uint64_t kSeed = 41;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  Random random(kSeed);
  for (const size_t rows : {1, 3, 4, 7, 13}) {
    for (const size_t size : {1, 15, 16, 100}) {
      const size_t stride = size + 5;
      std::vector<uint8_t> bytes((rows - 1) * stride + size);
      for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.Below(256));
      std::vector<float> weights(rows);
      for (float& weight : weights) weight = static_cast<float>(random.Unit() - 0.3);
      std::vector<float> truth(size);
      {
        const ForceCpuLevelForTest force(CpuLevel::kScalar);
        WeightedRowSum(bytes.data(), stride, weights, truth);
      }
      for (size_t i = 0; i < size; ++i) {
        double sum = 0;
        for (size_t r = 0; r < rows; ++r) sum += double{weights[r]} * bytes[r * stride + i];
        ASSERT_NEAR(truth[i], sum, 1e-3);
      }
      for (const CpuLevel level : AvailableCpuLevels()) {
        const ForceCpuLevelForTest force(level);
        std::vector<float> out(size, -1.0f);
        WeightedRowSum(bytes.data(), stride, weights, out);
        ASSERT_EQ(out, truth) << CpuLevelName(level) << " " << rows << " " << size;
      }
    }
  }
}

}  // namespace
}  // namespace likeness
