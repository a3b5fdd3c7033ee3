// The deep feature as one extractor among others: whole pictures to rows of halves.
#pragma once

#include <memory>

#include "feature/deep.h"
#include "feature/extractor.h"

namespace likeness {

// Layout: f16, as many elements as the layer has, one row. Key, decode size and batch are those of `deep`.
std::unique_ptr<Extractor> MakeDeepFeature(std::shared_ptr<const DeepExtractor> deep);

}  // namespace likeness
