#include "bench/masked_cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstring>

namespace {

constexpr int kArchSetCpuid = 0x1012;
bool hides_avx512 = false;
bool masked = false;

void Answer(int, siginfo_t*, void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const auto* at = reinterpret_cast<const unsigned char*>(registers[REG_RIP]);
  if (at[0] != 0x0f || at[1] != 0xa2) {  // no CPUID: a fault like any other
    ::signal(SIGSEGV, SIG_DFL);
    return;
  }
  const auto leaf = static_cast<unsigned>(registers[REG_RAX]), sub = static_cast<unsigned>(registers[REG_RCX]);
  unsigned a = 0, b = 0, c = 0, d = 0;
  ::syscall(SYS_arch_prctl, kArchSetCpuid, 1);
  __cpuid_count(leaf, sub, a, b, c, d);
  ::syscall(SYS_arch_prctl, kArchSetCpuid, 0);
  if (leaf == 7 && sub == 0) {
    d &= ~(1u << 22 | 1u << 24 | 1u << 25);  // AMX
    if (hides_avx512) {
      b &= ~(1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31);
      c &= ~(1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14);
      d &= ~(1u << 2 | 1u << 3 | 1u << 8 | 1u << 23);
    }
  }
  if (leaf == 7 && sub == 1) a &= ~(1u << 5);  // AVX-512 with bf16
  registers[REG_RAX] = a;
  registers[REG_RBX] = b;
  registers[REG_RCX] = c;
  registers[REG_RDX] = d;
  registers[REG_RIP] += 2;
}

void Mask(int, char**, char** environment) {
  const char* level = nullptr;
  for (; *environment != nullptr; ++environment) {
    if (std::strncmp(*environment, "LIKENESS_CPU=", 13) == 0) level = *environment + 13;
  }
  if (level == nullptr || (std::strcmp(level, "avx2") != 0 && std::strcmp(level, "avx512") != 0)) return;
  hides_avx512 = std::strcmp(level, "avx2") == 0;
  struct sigaction action = {};
  action.sa_sigaction = Answer;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  if (::sigaction(SIGSEGV, &action, nullptr) != 0) return;
  masked = ::syscall(SYS_arch_prctl, kArchSetCpuid, 0) == 0;
}

// Runs before the constructors of every library.
__attribute__((section(".preinit_array"), used)) void (*const kMask)(int, char**, char**) = Mask;

}  // namespace

bool likeness::CpuIsMasked() { return masked; }
#else
bool likeness::CpuIsMasked() { return false; }
#endif
