// Local descriptors of many pictures in one file, which grows picture by picture and survives being killed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "base/file.h"
#include "base/status.h"
#include "learn/training.h"

namespace likeness {

struct SampleOptions {
  uint64_t most = 2'000'000;  // descriptors; fewer where the pictures have fewer
  uint64_t seed = 1;
  size_t threads = 1;
};

struct DescriptorSample {
  std::shared_ptr<const MappedFile> file;
  uint64_t pictures = 0;  // that were looked at
  uint64_t unreadable = 0;

  // [n, 128], picture after picture
  std::span<const uint8_t> rows() const {
    return {reinterpret_cast<const uint8_t*>(file->bytes().data()), file->bytes().size()};
  }
};

// Takes pictures in a random order of the seed's, all descriptors of each, until there are enough. In `folder` lie
// descriptors.u8 and, written after it, sample.json, which says how much of it counts; another call with the same
// arguments goes on from there. The same arguments give the same descriptors, whatever the number of threads.
// Errors: FailedPrecondition when the folder holds a sample of other pictures or options; Cancelled when stopped; those
// of the disk; InvalidArgument when no picture has a descriptor.
absl::StatusOr<DescriptorSample> GatherDescriptors(const TrainingPictures& pictures, const SampleOptions& options,
                                                   const std::filesystem::path& folder, const TrainingControl& control);

}  // namespace likeness
