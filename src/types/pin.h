// What people did with an image: a pin puts it on a board, with words.
#pragma once

#include <string>

#include "types/signature.h"

namespace likeness {

// One image may have many pins; `id` is unique in the collection. All texts are UTF-8 and may be empty.
struct Pin {
  std::string id;
  Signature image;
  std::string board;        // identifier of the board
  std::string board_title;  // as people read it
  std::string user;
  std::string description;
  std::string link;     // http or https address, or empty
  std::string created;  // as the source wrote it, ISO 8601
};

struct Board {
  std::string id;
  std::string title;
  uint64_t images = 0;  // distinct images that have a pin on it
};

}  // namespace likeness
