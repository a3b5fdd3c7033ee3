// What a collection of a million answers, and how fast.
#pragma once

#include <filesystem>

#include "bench/report.h"

namespace likeness {

// A million pictures (LIKENESS_BENCH_IMAGES: another number) with VGG-16's fc6 and codes of 4096 bits
// (bench/million.h), asked for a hundred results with photographs of 1024 x 768 that are among them, each uploaded over
// HTTP on a connection of its own to a server process:
//
//   cold start   from starting the program to its first answer, for a picture of the collection and for an upload; the
//                collection's files are in the page cache
//   one by one   each asked when the one before is answered
//   30 a second  one every 33.3 ms, whether or not those before are answered; a time counts from when it was due
//   at random    the same, at moments drawn as a Poisson process does
//   flood        eight clients, each asking anew as soon as it has its answer
void MeasureMillion(const char* program, const std::filesystem::path& homes, BenchReport& report);

}  // namespace likeness
