#include <nlohmann/json.hpp>

#include "index/token_format.h"
#include "index/token_index.h"

namespace likeness {

absl::StatusOr<std::string> InspectTokens(const std::filesystem::path& path) {
  LIKENESS_ASSIGN_OR_RETURN(const auto index, TokenIndex::Open(path, std::make_shared<TokenCache>(0)));
  const absl::Status verified = index->Verify();
  nlohmann::ordered_json report{{"format", "tokens"},
                                {"version", kTokensVersion},
                                {"bytes", index->file_bytes()},
                                {"documents", index->doc_count()},
                                {"ok", verified.ok()}};
  if (!verified.ok()) report["reason"] = MessageOf(verified);
  report["feature"] = index->feature().ToString();
  report["words"] = index->words();
  report["parts"] = index->parts();
  report["postings"] = index->postings();
  if (index->postings() > 0) {
    report["bytes_a_posting"] = static_cast<double>(index->file_bytes()) / static_cast<double>(index->postings());
  }
  report["resident_bytes"] = index->resident_bytes();
  return report.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace likeness
