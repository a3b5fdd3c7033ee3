#include "bench/ask.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace likeness {

namespace http = boost::beast::http;
using tcp = boost::asio::ip::tcp;

nlohmann::json Ask(int number, const std::string& body, const std::string& target, const char* type) {
  const std::string port = std::to_string(number);
  boost::asio::io_context context;
  tcp::socket socket(context);
  boost::asio::connect(socket, tcp::resolver(context).resolve("127.0.0.1", port));
  http::request<http::string_body> request(http::verb::post, target, 11);
  request.set(http::field::host, "127.0.0.1:" + port);
  request.set(http::field::content_type, type);
  request.body() = body;
  request.prepare_payload();
  http::write(socket, request);
  boost::beast::flat_buffer buffer;
  http::response<http::string_body> response;
  http::read(socket, buffer, response);
  return nlohmann::json::parse(response.body(), nullptr, /*allow_exceptions=*/false);
}

bool FoundItself(const nlohmann::json& answer) {
  return answer.is_object() && answer.contains("results") && !answer["results"].empty() &&
         answer["results"][0]["signature"] == answer["query"]["signature"];
}

}  // namespace likeness
