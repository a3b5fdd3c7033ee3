// Altered copies of a picture, as M. Douze et al. made them for Copydays ("Evaluation of GIST descriptors for web-scale
// image search", CIVR 2009), but generated here: no picture of that set is among them.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/status.h"
#include "image/pixels.h"

namespace likeness {

enum class Alteration {
  kCrop80,  // of the area, anywhere in the picture, in its proportions
  kCrop50,
  kCrop30,
  kRotate,      // by any angle; the canvas grows and is filled with one color
  kMirror,      // left and right exchanged
  kJpeg10,      // quality 10
  kScale25,     // of each side
  kBorder,      // of one color, 5 to 15 % of the side at each side
  kText,        // two to four lines over the picture
  kAspect,      // one side to three quarters
  kBrightness,  // values times 0.5 to 0.75, or 1.3 to 1.7
};
inline constexpr size_t kAlterations = 11;

// One row of the evaluation.
struct AlterationRow {
  Alteration kind;
  std::string_view name;  // "crop_80"
  double recall_bar;
};
const std::array<AlterationRow, kAlterations>& AlterationRows();

// A JPEG, of quality 85 where the alteration is another. Where and how much is drawn from `random`.
// Errors: those of Resample and EncodeJpeg.
absl::StatusOr<std::string> MakeAltered(const Pixels& pixels, Alteration kind, Random& random);

// The pixels before they are encoded.
absl::StatusOr<Pixels> Alter(const Pixels& pixels, Alteration kind, Random& random);

}  // namespace likeness
