#include "feature/sift_passes.h"

#include "kernel/target.h"

#if LIKENESS_X86
#include <immintrin.h>
#endif

// The bodies once for each level. Functions that stand between the pragmas are compiled for it.
#define SIFT_LANES 4
namespace likeness::sift_scalar {
namespace {
#include "feature/sift_passes_body.h"
}  // namespace
}  // namespace likeness::sift_scalar
#undef SIFT_LANES

#if LIKENESS_X86

#define SIFT_LANES 8
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif
namespace likeness::sift_avx2 {
namespace {
#include "feature/sift_passes_body.h"
}  // namespace
}  // namespace likeness::sift_avx2
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef SIFT_LANES

#define SIFT_LANES 16
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,avx512f,avx512bw,avx512dq,avx512vl")
#endif
namespace likeness::sift_avx512 {
namespace {
#include "feature/sift_passes_body.h"
}  // namespace
}  // namespace likeness::sift_avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef SIFT_LANES

#endif

namespace likeness {

const SiftPasses& ActiveSiftPasses() {
#if LIKENESS_X86
  switch (ActiveCpuLevel()) {
    case CpuLevel::kAmx:
    case CpuLevel::kAvx512:
      return sift_avx512::kPasses;
    case CpuLevel::kAvx2:
      return sift_avx2::kPasses;
    case CpuLevel::kScalar:
      break;
  }
#endif
  return sift_scalar::kPasses;
}

}  // namespace likeness
