#include "eval/duplicate_scenes.h"

#include <algorithm>

#include "base/file.h"

namespace likeness {
namespace {

constexpr KnownScene kKnown[] = {
    {"ccp/photos/0183.jpg", "ccp/photos/0730.jpg", "one step and street, cropped by a hand's breadth, colder tones"},
    {"ccp/photos/0197.jpg", "ccp/photos/0671.jpg", "one pose and street, cropped by a hand's breadth, warmer tones"},
    {"ccp/photos/0343.jpg", "ccp/photos/1083.jpg",
     "one pose, passer-by and pavement, encoded anew, a few pixels wider"},
    {"ccp/photos/0403.jpg", "ccp/photos/1074.jpg",
     "one smile, pose and cable on the ground, cropped a little, brighter"},
    {"ccp/photos/0594.jpg", "ccp/photos/0722.jpg", "one step, passers-by and railing, cropped by a finger's breadth"},
    {"ccp/photos/0907.jpg", "ccp/photos/0990.jpg", "one pose and shadow, background and all, other tones"},
    {"ccp/photos/1029.jpg", "ccp/photos/1341.jpg", "one pose and crossing, cropped a little, darker tones"},
    {"products/images/13339.jpg", "products/images/13340.jpg", "one skirt, button and outline, its creases retouched"},
    {"products/images/18961.jpg", "products/images/18963.jpg", "one model, pose and every fold, encoded anew"},
};

constexpr uint64_t kMostBytes = uint64_t{16} << 20;

void Insert(ScenePairs& pairs, std::string a, std::string b) {
  if (b < a) std::swap(a, b);
  pairs.emplace(std::move(a), std::move(b));
}

}  // namespace

std::span<const KnownScene> KnownScenes() { return kKnown; }

absl::StatusOr<ScenePairs> ReadScenes(const std::filesystem::path& file) {
  ScenePairs pairs;
  for (const KnownScene& scene : kKnown) Insert(pairs, std::string(scene.a), std::string(scene.b));
  if (file.empty()) return pairs;
  LIKENESS_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kMostBytes));
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.empty() || line[0] == '#') continue;
    const size_t first = line.find('\t'), second = first == line.npos ? line.npos : line.find('\t', first + 1);
    if (first == 0 || second == line.npos || second == first + 1 || second + 1 == line.size()) {
      return absl::InvalidArgumentError(file.string() + ": line " + std::to_string(number) +
                                        " must have two pictures and what was seen, separated by tabs");
    }
    Insert(pairs, line.substr(0, first), line.substr(first + 1, second - first - 1));
  }
  return pairs;
}

}  // namespace likeness
