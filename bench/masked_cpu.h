// Makes a whole process, libraries and all, believe that its processor has less than it has: what benchmarks compare on
// lesser processors must be without it on both sides.
//
// Where LIKENESS_CPU is avx2 or avx512 and the system lets CPUID fault (arch_prctl, Linux on x86-64), a program that
// links this file answers the instruction itself from before the first constructor on: without AVX-512 and AMX, or
// without AMX and bf16. Only the main thread is masked: one thread is what such benchmarks use.
#pragma once

namespace likeness {

// Whether the processor is masked now.
bool CpuIsMasked();

}  // namespace likeness
