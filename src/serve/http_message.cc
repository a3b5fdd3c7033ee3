#include "serve/http_message.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <limits>

namespace likeness {
namespace {

namespace http = boost::beast::http;

// Whether these bytes of a chunked body may be a last chunk, "0\r\n\r\n", of which not all is here. Beast 1.74 asserts
// that one whose beginning it has seen comes back whole.
bool BeginsLastChunk(std::string_view bytes) {
  constexpr size_t kWhole = 5;
  if (bytes.size() >= kWhole) return false;
  if (bytes.starts_with("\r\n")) bytes.remove_prefix(2);
  return bytes.empty() || bytes.front() == '0' || bytes == "\r";
}

std::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

ApiResponse TooLarge(uint64_t limit) {
  return ErrorResponse(413, "resource_exhausted",
                       "The body is larger than " + std::to_string(limit >> 20) + " MiB; send a smaller picture.");
}

// Collects a body. Unlike http::string_body it reserves nothing for what a client only promises.
struct GrowingBody {
  using value_type = std::string;
  class reader {
   public:
    template <bool is_request, class Fields>
    reader(http::header<is_request, Fields>&, std::string& body) : body_(body) {}
    void init(const boost::optional<uint64_t>&, boost::beast::error_code& error) { error = {}; }
    template <class Buffers>
    size_t put(const Buffers& buffers, boost::beast::error_code& error) {
      error = {};
      size_t size = 0;
      for (auto at = boost::asio::buffer_sequence_begin(buffers); at != boost::asio::buffer_sequence_end(buffers);
           ++at) {
        const boost::asio::const_buffer piece = *at;
        body_.append(static_cast<const char*>(piece.data()), piece.size());
        size += piece.size();
      }
      return size;
    }
    void finish(boost::beast::error_code& error) { error = {}; }

   private:
    std::string& body_;
  };
};

}  // namespace

struct RequestReader::Parser {
  explicit Parser(const RequestLimits& limits) {
    parser.header_limit(limits.head_bytes);
    parser.body_limit(limits.body_bytes);
  }
  http::request_parser<GrowingBody> parser;
  std::string head;  // bytes that the parser has not been able to use yet
  bool expectation = false;
};

RequestReader::RequestReader(const RequestLimits& limits)
    : limits_(limits), parser_(std::make_unique<Parser>(limits)) {}
RequestReader::~RequestReader() = default;

RequestReader::State RequestReader::state() const {
  if (error_) return State::kFailed;
  if (parser_->parser.is_done()) return State::kComplete;
  if (parser_->parser.is_header_done()) return State::kBody;
  return parser_->head.empty() ? State::kIdle : State::kHead;
}

void RequestReader::Fail(ApiResponse error) { error_ = std::move(error); }

const ApiResponse& RequestReader::error() const { return *error_; }

size_t RequestReader::buffered() const {
  return parser_->head.capacity() + ahead_.capacity() + parser_->parser.get().body().capacity();
}

bool RequestReader::TakeExpectation() { return std::exchange(parser_->expectation, false); }

void RequestReader::Feed(std::string_view bytes) {
  auto& parser = parser_->parser;
  // The parser wants its unused bytes again, followed by new ones. Only a head, or the line before a chunk, leaves any.
  std::string& held = parser_->head;
  const bool joined = !held.empty();
  if (joined) held.append(bytes);
  std::string_view rest = joined ? std::string_view(held) : bytes;
  while (!rest.empty() && !parser.is_done() && !error_) {
    if (parser.is_header_done() && parser.chunked() && BeginsLastChunk(rest)) break;
    const bool had_head = parser.is_header_done();
    boost::beast::error_code error;
    const size_t used = parser.put(boost::asio::const_buffer(rest.data(), rest.size()), error);
    rest.remove_prefix(used);
    if (error == http::error::need_more) break;
    if (error == http::error::body_limit) {
      Fail(TooLarge(limits_.body_bytes));
    } else if (error == http::error::header_limit) {
      Fail(ErrorResponse(400, "invalid_argument",
                         "The headers of the request are larger than " + std::to_string(limits_.head_bytes >> 10) +
                             " KiB; send fewer."));
    } else if (error) {
      Fail(ErrorResponse(400, "invalid_argument", "This is no HTTP/1.1 request: " + error.message() + "."));
    } else if (!had_head && parser.is_header_done()) {
      const auto& message = parser.get();
      const auto hosts = message.count(http::field::host);
      if (hosts > 1 || (message.version() >= 11 && hosts == 0)) {
        Fail(ErrorResponse(400, "invalid_argument", "The request must have one Host header."));
      } else if (message.count(http::field::content_encoding) != 0) {
        Fail(ErrorResponse(415, "invalid_argument", "A compressed body is not taken here; send it as it is."));
      } else if (const auto length = parser.content_length(); length && *length > limits_.body_bytes) {
        Fail(TooLarge(limits_.body_bytes));
      }
      parser_->expectation = !error_ && !parser.is_done() && message.version() >= 11 &&
                             boost::beast::iequals(message[http::field::expect], "100-continue");
    } else if (used == 0) {
      break;
    }
  }
  std::string left(rest);
  held.clear();
  if (error_) return;  // what follows is of no use
  if (parser.is_done()) {
    ahead_ = std::move(left);
  } else if (left.size() > limits_.head_bytes) {
    // A chunk's extension, say, that never ends.
    Fail(ErrorResponse(400, "invalid_argument", "This is no HTTP/1.1 request: a line is too long."));
  } else {
    held = std::move(left);
  }
}

std::unique_ptr<RequestReader::Request> RequestReader::Take() {
  auto& message = parser_->parser.get();
  auto request = std::make_unique<Request>();
  request->message.method = View(message.method_string());
  request->message.target = View(message.target());
  for (const auto& field : message) {
    std::string name(View(field.name_string()));
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    }
    request->message.headers.emplace_back(std::move(name), View(field.value()));
  }
  request->keep_alive = message.keep_alive();
  request->body = std::move(message.body());
  request->message.body = request->body;
  parser_ = std::make_unique<Parser>(limits_);
  const std::string ahead = std::exchange(ahead_, {});
  if (!ahead.empty()) Feed(ahead);
  return request;
}

std::string FormatHead(const ApiResponse& response, bool keep_alive) {
  std::string head = "HTTP/1.1 " + std::to_string(response.status) + " " +
                     std::string(View(http::obsolete_reason(http::int_to_status(response.status)))) + "\r\n";
  const auto add = [&head](std::string_view name, std::string_view value) {
    head.append(name).append(": ");
    for (const char c : value) head += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
    head += "\r\n";
  };
  for (const auto& [name, value] : response.headers) add(name, value);
  if (!response.content_type.empty()) add("Content-Type", response.content_type);
  if (response.status != 304) add("Content-Length", std::to_string(response.body.size()));
  add("Connection", keep_alive ? "keep-alive" : "close");
  return head + "\r\n";
}

}  // namespace likeness
