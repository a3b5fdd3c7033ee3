// The files of the page (web/), compiled into the program. cmake/Embed.cmake makes the definition.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace likeness {

struct Asset {
  std::string_view name;  // "index.html": flat, without folders
  std::string_view content;
};

// All of them, by name; they live as long as the program. Any thread.
std::span<const Asset> Assets();

}  // namespace likeness
