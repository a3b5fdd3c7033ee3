// AMX tiles, for the sources of our own loops alone: what the compiler does not know of them.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstdint>

#define LIKENESS_TILES \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,amx-int8")))

namespace likeness {

// Shapes of the eight tile registers, as the processor reads them. Must lie in memory when it does.
struct alignas(64) TileShapes {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// What was stored before is in memory, where tiles are loaded from.
inline void Stored() { asm volatile("" ::: "memory"); }

LIKENESS_TILES inline void TakeTiles(const TileShapes& shapes) { asm volatile("ldtilecfg %0" ::"m"(shapes)); }
LIKENESS_TILES inline void ReleaseTiles() { _tile_release(); }

}  // namespace likeness
#endif
