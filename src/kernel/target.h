// For the sources of the kernels alone: functions compiled for one CpuLevel, and the choice between them.
#pragma once

#include "kernel/cpu.h"

#if defined(__x86_64__)
#define LIKENESS_X86 1
// A function with one of these may be called only when the processor has the level.
#define LIKENESS_AVX2 __attribute__((target("avx2,fma,f16c,popcnt")))
#define LIKENESS_AVX512 \
  __attribute__((target("avx2,fma,f16c,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq")))
#define LIKENESS_AMX                                                                               \
  __attribute__((                                                                                  \
      target("avx2,fma,f16c,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq," \
             "amx-tile,amx-int8")))
#else
#define LIKENESS_X86 0
#endif

namespace likeness {

// The versions of one kernel, of one signature. Tiles (kAmx) have none here: the kernels that use them ask for the
// level.
template <typename Function>
struct Versions {
  Function scalar;
  Function avx2;
  Function avx512;

  Function Active() const {
    switch (ActiveCpuLevel()) {
      case CpuLevel::kAmx:
      case CpuLevel::kAvx512:
        return avx512;
      case CpuLevel::kAvx2:
        return avx2;
      case CpuLevel::kScalar:
        break;
    }
    return scalar;
  }
};

// The versions nameScalar, nameAvx2 and nameAvx512; on other processors the first stands in for all.
#if LIKENESS_X86
#define LIKENESS_VERSIONS(name) \
  { name##Scalar, name##Avx2, name##Avx512 }
#else
#define LIKENESS_VERSIONS(name) \
  { name##Scalar, name##Scalar, name##Scalar }
#endif

}  // namespace likeness
