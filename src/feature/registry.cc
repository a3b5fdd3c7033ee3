#include "feature/registry.h"

#include <algorithm>

namespace likeness {
namespace {

constexpr FeatureType kTypes[] = {
    {"deep", "activations of one layer of a network: what is to be seen, as a whole", "a vector of halves",
     "Jing et al., KDD 2015, section 3; the model's own paper"},
    {"color", "the colors of what the picture shows, and how much there is of each", "up to 8 colors in L*a*b*",
     "Jing et al., KDD 2015, section 2.1"},
    {"pdq", "a hash that alterations of a picture hardly change, and how much there was to hash",
     "256 bits and a quality",
     "Facebook, \"The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm\", 2019"},
    {"local", "up to 512 keypoints as visual words with signatures and geometry", "18 bytes a keypoint",
     "Lowe, IJCV 2004; Arandjelovic and Zisserman, CVPR 2012; Jegou et al., ECCV 2008"},
    {"category", "how likely each class of object is in the picture", "probabilities",
     "Jing et al., KDD 2015, section 4",
     /*available=*/false},
    {"safety", "safe, soft or explicit", "probabilities", "Jing et al., KDD 2015, section 2.1", /*available=*/false},
};

}  // namespace

std::span<const FeatureType> FeatureTypes() { return kTypes; }

const FeatureType* FindFeatureType(std::string_view key_type) {
  const std::string_view name = key_type.substr(0, key_type.find('.'));
  const auto* found = std::ranges::find(kTypes, name, &FeatureType::name);
  return found == std::end(kTypes) ? nullptr : found;
}

}  // namespace likeness
