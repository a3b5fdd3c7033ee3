// Which instructions the kernels may use. Every kernel has a plain scalar twin that is the truth and versions for AVX2
// and AVX-512, equal to it to the bit; one is chosen by the processor when it is called.
//
// The environment variable LIKENESS_CPU (scalar, avx2, avx512, amx), read once, lowers the choice; it cannot raise it
// above what the processor has. All functions may be called from any thread.
#pragma once

#include <span>
#include <string_view>

namespace likeness {

enum class CpuLevel {
  kScalar,
  kAvx2,    // AVX2, FMA, F16C, POPCNT
  kAvx512,  // the above and AVX-512 F, BW, DQ, VL, VNNI, VPOPCNTDQ
  kAmx,     // the above and tiles of bytes (AMX), which Linux has given this process leave to use
};

// The level that kernels use now.
CpuLevel ActiveCpuLevel();

// The levels that this processor has, kScalar first. LIKENESS_CPU does not change them.
std::span<const CpuLevel> AvailableCpuLevels();

std::string_view CpuLevelName(CpuLevel level);

// Makes every kernel of the process use `level` for as long as the object lives; the last one made wins. For tests and
// benchmarks. REQUIRES: `level` is one of AvailableCpuLevels().
class ForceCpuLevelForTest {
 public:
  explicit ForceCpuLevelForTest(CpuLevel level);
  ~ForceCpuLevelForTest();
  ForceCpuLevelForTest(const ForceCpuLevelForTest&) = delete;
  ForceCpuLevelForTest& operator=(const ForceCpuLevelForTest&) = delete;

 private:
  CpuLevel before_;
};

}  // namespace likeness
