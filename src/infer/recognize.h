// Cards for users' own files of networks that everybody knows.
#pragma once

#include <filesystem>

#include "base/status.h"
#include "infer/model_card.h"

namespace likeness {

// Recognizes AlexNet, VGG-16 and GoogLeNet by the shapes of their weights, whatever the tensors are called, and gives a
// card with the network's usual name, its layers (pool5, fc6, fc7, fc8, or pool5 and classifier) as this file calls
// them, its input as the graph declares it, and the preprocessing of Caffe's models, on which the papers stand: BGR
// minus 104, 117, 123; of AlexNet with the 64 filters of PyTorch's, PyTorch's. A graph does not tell how its pixels
// were prepared: where a file was trained otherwise, change `input` before ModelLibrary::Add. The checksum is filled
// in, the dimension is 0: Add learns it. Errors: NotFound when the file is none of them; those of MappedFile::Open and
// ReadOnnxFile.
absl::StatusOr<ModelCard> RecognizeModel(const std::filesystem::path& weights);

}  // namespace likeness
