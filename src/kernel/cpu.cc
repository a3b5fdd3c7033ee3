#include "kernel/cpu.h"

#include <atomic>
#include <cstdlib>
#include <vector>

#include "base/status.h"
#include "kernel/target.h"

#if LIKENESS_X86
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace likeness {
namespace {

#if LIKENESS_X86
// Tiles are large, and Linux saves them only for a process that has asked.
bool MayUseTiles() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // of arch_prctl(2)
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

CpuLevel Detect() {
#if LIKENESS_X86
  __builtin_cpu_init();
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  // The built-in, which also asks the system whether it saves the wide registers, does not know F16C in every compiler.
  const bool f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
  if (!f16c || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("popcnt")) {
    return CpuLevel::kScalar;
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") &&
      __builtin_cpu_supports("avx512vpopcntdq")) {
    const bool tiles = __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-int8") && MayUseTiles();
    return tiles ? CpuLevel::kAmx : CpuLevel::kAvx512;
  }
  return CpuLevel::kAvx2;
#else
  return CpuLevel::kScalar;
#endif
}

std::atomic<CpuLevel>& Active() {
  static std::atomic<CpuLevel> active = [] {
    CpuLevel level = AvailableCpuLevels().back();
    if (const char* name = std::getenv("LIKENESS_CPU"); name != nullptr) {
      for (const CpuLevel wanted : AvailableCpuLevels()) {
        if (name == CpuLevelName(wanted)) level = wanted;
      }
    }
    return level;
  }();
  return active;
}

}  // namespace

CpuLevel ActiveCpuLevel() { return Active().load(std::memory_order_relaxed); }

std::span<const CpuLevel> AvailableCpuLevels() {
  static const std::vector<CpuLevel> levels = [] {
    const CpuLevel best = Detect();
    std::vector<CpuLevel> list;
    for (const CpuLevel level : {CpuLevel::kScalar, CpuLevel::kAvx2, CpuLevel::kAvx512, CpuLevel::kAmx}) {
      if (level <= best) list.push_back(level);
    }
    return list;
  }();
  return levels;
}

std::string_view CpuLevelName(CpuLevel level) {
  switch (level) {
    case CpuLevel::kAmx:
      return "amx";
    case CpuLevel::kAvx512:
      return "avx512";
    case CpuLevel::kAvx2:
      return "avx2";
    case CpuLevel::kScalar:
      break;
  }
  return "scalar";
}

ForceCpuLevelForTest::ForceCpuLevelForTest(CpuLevel level) {
  LIKENESS_CHECK(level <= AvailableCpuLevels().back());
  before_ = Active().exchange(level);
}

ForceCpuLevelForTest::~ForceCpuLevelForTest() { Active().store(before_); }

}  // namespace likeness
