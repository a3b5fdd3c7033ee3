// Which signatures of 64 bits are near to one: the inner loop of a search by visual words.
//
// Any thread; spans are only read and need not be aligned beyond their element.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace likeness {

// Bit i % 64 of masks[i / 64] says whether signatures[i] differs from `query` in at most `limit` bits; bits beyond the
// end are 0. REQUIRES: masks.size() == ceil(signatures.size() / 64)
void SignaturesWithin(std::span<const uint64_t> signatures, uint64_t query, uint32_t limit, std::span<uint64_t> masks);

}  // namespace likeness
