// Status, and whose fault it is.
//
// Everything that can fail returns absl::Status or absl::StatusOr. The code tells the blame (docs/architecture.md,
// "Errors"), the blame tells what to do: a caller's fault is answered, a fault in the data is recorded and passed over,
// a fault of the world is retried. Bugs end the process with LIKENESS_CHECK; input never reaches one.
//
// Debian's Abseil has a string_view type of its own; the functions here keep it out of the rest of the code.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace likeness {

enum class Blame {
  kCaller,  // InvalidArgument, NotFound, FailedPrecondition, AlreadyExists: the request or the command must change
  kData,    // DataLoss, Unimplemented, OutOfRange: this image or file is at fault, the others are not
  kWorld,   // Unavailable, DeadlineExceeded, ResourceExhausted, Internal and all else: try again, or later
};

// REQUIRES: !status.ok()
Blame BlameOf(const absl::Status& status);

// The message alone, without the code.
std::string MessageOf(const absl::Status& status);

// The code's name in lower snake case, as the HTTP API shows it: "invalid_argument".
std::string CodeName(const absl::Status& status);

// The same status with `context + ": "` before its message.
absl::Status Annotate(const absl::Status& status, std::string_view context);

// A failed system call as a status: NotFound, ResourceExhausted (full disk, too many files), Unavailable or Internal.
// `action` reads like "cannot write /a/b"; the reason of `error_number` (an errno) is appended.
absl::Status ErrnoStatus(int error_number, std::string_view action);

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace likeness

// Ends the process when `condition` is false: for bugs, never for input.
#define LIKENESS_CHECK(condition)                                            \
  do {                                                                       \
    if (!(condition)) likeness::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (false)

#define LIKENESS_RETURN_IF_ERROR(expression)                                                  \
  do {                                                                                        \
    if (absl::Status status_macro_ = (expression); !status_macro_.ok()) return status_macro_; \
  } while (false)

#define LIKENESS_CONCAT_INNER_(a, b) a##b
#define LIKENESS_CONCAT_(a, b) LIKENESS_CONCAT_INNER_(a, b)

// LIKENESS_ASSIGN_OR_RETURN(auto value, FunctionReturningStatusOr());
#define LIKENESS_ASSIGN_OR_RETURN(declaration, expression) \
  LIKENESS_ASSIGN_OR_RETURN_(LIKENESS_CONCAT_(status_or_, __LINE__), declaration, expression)
#define LIKENESS_ASSIGN_OR_RETURN_(name, declaration, expression) \
  auto name = (expression);                                       \
  if (!name.ok()) return name.status();                           \
  declaration = *std::move(name)
