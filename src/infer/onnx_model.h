// A Model that ONNX Runtime runs.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "infer/model.h"

namespace likeness {

// The file's graph cut at `tensors`. Errors: InvalidArgument, ResourceExhausted.
absl::StatusOr<std::unique_ptr<Model>> MakeOnnxRuntimeModel(std::span<const std::byte> file, const ModelCard& card,
                                                            std::span<const std::string> tensors, size_t threads);

}  // namespace likeness
