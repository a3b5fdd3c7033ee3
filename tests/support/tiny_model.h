// A small ONNX network for tests, written byte by byte.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "infer/model_library.h"

namespace likeness {

// image f32[N,3,side,side] -> Relu "relu" (spatial) -> Flatten "flat" -> MatMul "features" f32[N,dimension] ->
// MatMul "logits" f32[N,5], the declared output. Weights are normal numbers from the seed.
struct TinyModelOptions {
  uint64_t seed = 1;
  uint32_t side = 16;
  uint32_t dimension = 32;
  uint32_t fixed_batch = 0;  // 0: any
};

std::string MakeTinyModel(const TinyModelOptions& options = {});

// A card for it under that name, with the layers features, logits and early (relu); pixels become (value - 127) / 128.
ModelCard MakeTinyCard(const std::string& name, const TinyModelOptions& options = {});

// Writes both into the folder, so that a ModelLibrary of it finds the model.
absl::StatusOr<ModelFiles> InstallTinyModel(const std::filesystem::path& folder, const std::string& name,
                                            const TinyModelOptions& options = {});

}  // namespace likeness
