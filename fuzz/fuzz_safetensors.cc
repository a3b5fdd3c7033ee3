// The door for safetensors files: any bytes are opened or refused, and what is opened can be read to the last byte.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/status.h"
#include "store/epoch_list.h"
#include "store/feature_shard.h"
#include "store/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace likeness;
  const Blob blob = Blob::Of(std::string(reinterpret_cast<const char*>(data), size));
  const auto file = Safetensors::Open(blob);
  if (!file.ok()) return 0;
  uint64_t sum = 0, bytes = 0;
  for (const Safetensors::Tensor& tensor : file->tensors()) {
    bytes += tensor.bytes.size();
    for (const std::byte b : tensor.bytes) sum += static_cast<uint64_t>(b);
  }
  LIKENESS_CHECK(bytes <= size && sum <= 255 * bytes);
  (void)file->VerifyChecksum();

  if (const auto list = EpochList::Open(blob); list.ok()) {
    LIKENESS_CHECK(WriteEpochList(list->shard(), list->signatures()).ok());
  }
  const auto shard = FeatureShard::Open(blob);
  if (!shard.ok()) return 0;
  for (size_t i = 0; i < shard->size(); ++i) {
    LIKENESS_CHECK(shard->Find(shard->signatures()[i]) == i);
    LIKENESS_CHECK(shard->has_value(i) == shard->failure(i).empty());
    for (const std::byte b : shard->value(i)) sum += static_cast<uint64_t>(b);
    sum += static_cast<uint64_t>(shard->image_size(i).width);
  }
  // What was read can be written and read again, and then stays as it is.
  const auto once = MergeFeatureShards(std::span(&*shard, 1));
  if (!once.ok()) return 0;
  const auto again = FeatureShard::Open(Blob::Of(*once));
  LIKENESS_CHECK(again.ok() && again->VerifyChecksum().ok());
  LIKENESS_CHECK(*MergeFeatureShards(std::span(&*again, 1)) == *once);
  return sum == UINT64_MAX ? 1 : 0;
}
