// The calibrated relevance floor: how probable it is that a hit is relevant.
#pragma once

namespace likeness {

class FloorModel {};

}  // namespace likeness
