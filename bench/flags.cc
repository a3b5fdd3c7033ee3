#include "bench/flags.h"

#include <algorithm>
#include <charconv>

#include "bench/report.h"

namespace likeness {
namespace {

[[noreturn]] void Refuse(std::string_view what, std::initializer_list<BenchFlag> flags) {
  std::string sentence = std::string(what) + "; it takes";
  for (const BenchFlag& flag : flags) {
    sentence += " [" + std::string(flag.name);
    if (std::holds_alternative<size_t*>(flag.value) || std::holds_alternative<double*>(flag.value)) sentence += " N";
    if (std::holds_alternative<std::string*>(flag.value)) sentence += " NAME";
    if (std::holds_alternative<std::filesystem::path*>(flag.value)) sentence += " PATH";
    sentence += "]";
  }
  BenchFail(sentence);
}

template <typename Number>
bool ReadNumber(std::string_view text, size_t least, Number* number) {
  Number read = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), read);
  if (error != std::errc() || end != text.data() + text.size() || !(read >= static_cast<Number>(least))) return false;
  *number = read;
  return true;
}

bool Store(std::string_view text, const BenchFlag& flag) {
  if (auto* const* number = std::get_if<size_t*>(&flag.value)) return ReadNumber(text, flag.least, *number);
  if (auto* const* number = std::get_if<double*>(&flag.value)) return ReadNumber(text, flag.least, *number);
  if (auto* const* name = std::get_if<std::string*>(&flag.value)) **name = text;
  if (auto* const* path = std::get_if<std::filesystem::path*>(&flag.value)) **path = text;
  return !text.empty();
}

}  // namespace

void ReadBenchFlags(int argc, char** argv, std::initializer_list<BenchFlag> flags) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const auto flag = std::ranges::find(flags, name, &BenchFlag::name);
    if (flag == flags.end()) Refuse("the benchmark does not know " + std::string(name), flags);
    if (auto* const* given = std::get_if<bool*>(&flag->value)) {
      **given = true;
      continue;
    }
    const std::string_view text = ++i < argc ? argv[i] : "";
    if (!Store(text, *flag)) Refuse("'" + std::string(text) + "' is no value of " + std::string(name), flags);
  }
}

}  // namespace likeness
