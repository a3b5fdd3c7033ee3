// The arguments of a benchmark: --name VALUE, or --name alone for what is or is not.
//
//   ReadBenchFlags(argc, argv, {{"--rows", &rows}, {"--folder", &folder}, {"--keep", &keep}});
#pragma once

#include <cstddef>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace likeness {

struct BenchFlag {
  std::string_view name;  // with its dashes
  // Keeps its value where the flag is not given; a bool becomes true where it is.
  std::variant<size_t*, double*, bool*, std::string*, std::filesystem::path*> value;
  size_t least = 1;  // of a number
};

// Ends the program with a sentence that names all flags when an argument is none of them or its value does not fit.
void ReadBenchFlags(int argc, char** argv, std::initializer_list<BenchFlag> flags);

}  // namespace likeness
