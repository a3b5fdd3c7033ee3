#include "serve/api.h"

#include <algorithm>
#include <array>

#include "base/log.h"
#include "base/thread_pool.h"
#include "serve/assets.h"

namespace likeness {
namespace {

// The text that `pattern` has a "{...}" for, or nothing when the path does not match. A part is never empty.
std::optional<std::string_view> Match(std::string_view pattern, std::string_view path) {
  const size_t open = pattern.find('{');
  if (open == pattern.npos) return pattern == path ? std::optional(std::string_view()) : std::nullopt;
  const std::string_view before = pattern.substr(0, open);
  const std::string_view after = pattern.substr(pattern.find('}') + 1);
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) || !path.ends_with(after)) {
    return std::nullopt;
  }
  const std::string_view part = path.substr(before.size(), path.size() - before.size() - after.size());
  return part.find('/') == part.npos ? std::optional(part) : std::nullopt;
}

std::string Printable(std::string_view text) { return std::string(text.substr(0, 200)); }

}  // namespace

ApiOptions::ApiOptions() { searches.at_once = 2 * AvailableThreads(); }

Api::Api(Backend& backend, ApiOptions options)
    : backend_(backend),
      options_(std::move(options)),
      searches_("searches", options_.searches),
      additions_("new pictures", options_.additions),
      pictures_("pictures", options_.pictures),
      thumbnails_(options_.thumbnails, metrics_) {
  for (const Asset& asset : Assets()) {
    std::array<std::byte, 16> digest;
    Md5(AsBytes(asset.content), digest);
    asset_tags_[asset.name] = "\"" + HexEncode(digest) + "\"";
  }
}

std::span<const Api::Route> Api::RouteTable() {
  static const auto table = std::to_array<Route>({
      {{"POST", "/v1/search"}, &Api::Search},
      {{"GET", "/v1/images"}, &Api::ListImages},
      {{"POST", "/v1/images"}, &Api::AddImage},
      {{"GET", "/v1/images/{signature}"}, &Api::GetImage},
      {{"DELETE", "/v1/images/{signature}"}, &Api::RemoveImage},
      {{"GET", "/v1/images/{signature}/colors"}, &Api::GetColors},
      {{"GET", "/v1/images/{signature}/duplicates"}, &Api::GetDuplicates},
      {{"GET", "/v1/images/{signature}/pixels"}, &Api::GetPixels},
      {{"GET", "/v1/images/{signature}/thumbnail"}, &Api::GetThumbnail},
      {{"GET", "/v1/duplicates"}, &Api::ListDuplicates},
      {{"POST", "/v1/duplicates"}, &Api::PostDuplicates},
      {{"GET", "/v1/boards"}, &Api::ListBoards},
      {{"GET", "/v1/status"}, &Api::GetStatus},
      {{"GET", "/healthz"}, &Api::GetHealth},
      {{"GET", "/metrics"}, &Api::GetMetrics},
      {{"GET", "/"}, &Api::GetPage},
      {{"GET", "/assets/{file}"}, &Api::GetAsset},
  });
  return table;
}

std::span<const Api::RouteName> Api::Routes() {
  static const std::vector<RouteName> names = [] {
    std::vector<RouteName> all;
    for (const Route& route : RouteTable()) all.push_back(route.name);
    return all;
  }();
  return names;
}

size_t Api::MaxBlocked() const {
  return options_.searches.at_once + options_.searches.waiting + options_.pictures.at_once + options_.pictures.waiting +
         options_.thumbnails.waiting + options_.additions.at_once + options_.additions.waiting;
}

ApiResponse Api::Handle(const ApiRequest& request) {
  const Stopwatch watch;
  std::string_view path = "other";
  ApiResponse response = Dispatch(request, path);
  AddSafetyHeaders(response);
  metrics_.Answered(path, response.status, watch.Milliseconds() / 1000);
  const bool fault = response.status >= 500 && response.status != 503;
  Log(fault ? LogLevel::kError : LogLevel::kDebug, "request",
      {{"method", Printable(request.method)},
       {"target", Printable(request.target)},
       {"status", std::to_string(response.status)},
       {"ms", std::to_string(watch.Milliseconds())},
       {"answer", fault ? response.body.substr(0, 500) : std::string()}});
  return response;
}

ApiResponse Api::Dispatch(const ApiRequest& request, std::string_view& path) {
  const absl::StatusOr<Target> target = Target::Parse(request.target);
  if (!target.ok()) return ErrorResponse(target.status(), false);
  if (const absl::Status status = options_.access.CheckHost(request); !status.ok()) return ErrorResponse(status, false);
  if (target->path.starts_with("/v1") || target->path == "/metrics") {
    if (const absl::Status status = options_.access.CheckToken(request); !status.ok()) {
      ApiResponse response = ErrorResponse(status, false);
      response.headers.emplace_back("WWW-Authenticate", "Bearer");
      return response;
    }
  }
  std::string allowed, use;
  for (const Route& route : RouteTable()) {
    const std::optional<std::string_view> argument = Match(route.name.path, target->path);
    if (!argument) continue;
    path = route.name.path;
    const bool get = route.name.method == "GET";
    if (request.method == route.name.method || (get && request.method == "HEAD")) {
      if (!get) {
        if (const absl::Status status = options_.access.CheckOrigin(request); !status.ok()) {
          return ErrorResponse(status, false);
        }
      }
      return (this->*route.handler)({request, *target, *argument});
    }
    allowed += std::string(allowed.empty() ? "" : ", ") + (get ? "GET, HEAD" : std::string(route.name.method));
    use += std::string(use.empty() ? "" : " or ") + std::string(route.name.method);
  }
  if (!allowed.empty()) {
    ApiResponse response =
        ErrorResponse(405, "unimplemented",
                      request.method.substr(0, 16) + " is not possible on " + std::string(path) + "; use " + use + ".");
    response.headers.emplace_back("Allow", allowed);
    return response;
  }
  return ErrorResponse(404, "not_found", "There is no " + target->path.substr(0, 200) + "; see docs/openapi.yaml.");
}

absl::StatusOr<Admission::Ticket> Api::Enter(Admission& gate, std::string_view what, Deadline deadline) {
  absl::StatusOr<Admission::Ticket> ticket = gate.Enter(deadline);
  if (!ticket.ok()) metrics_.Refused(what);
  return ticket;
}

ApiResponse Api::GetHealth(const Call& call) {
  if (const absl::Status status = call.target.Check({}); !status.ok()) return ErrorResponse(status, false);
  return {200, "application/json", {}, R"({"status":"ok"})"};
}

ApiResponse Api::GetMetrics(const Call& call) {
  if (const absl::Status status = call.target.Check({}); !status.ok()) return ErrorResponse(status, false);
  return {200,
          "text/plain; version=0.0.4; charset=utf-8",
          {},
          metrics_.Text(backend_.Served()) + backend_.SearcherMetrics()};
}

ApiResponse Api::GetPage(const Call& call) { return AssetResponse(call, "index.html"); }

ApiResponse Api::GetAsset(const Call& call) { return AssetResponse(call, call.argument); }

ApiResponse Api::AssetResponse(const Call& call, std::string_view name) {
  constexpr std::pair<std::string_view, std::string_view> kTypes[] = {{".html", "text/html; charset=utf-8"},
                                                                      {".js", "text/javascript; charset=utf-8"},
                                                                      {".css", "text/css; charset=utf-8"},
                                                                      {".svg", "image/svg+xml"}};
  for (const Asset& asset : Assets()) {
    // The page itself has one address, so that its relative links have one meaning.
    if (asset.name != name || (name.ends_with(".html") && call.target.path != "/")) continue;
    const std::string& etag = asset_tags_[asset.name];
    ApiResponse response{200, {}, {{"ETag", etag}, {"Cache-Control", "no-cache"}}, {}};
    if (call.request.Header("if-none-match").find(etag) != std::string_view::npos) {
      response.status = 304;
      return response;
    }
    for (const auto& [extension, type] : kTypes) {
      if (name.ends_with(extension)) response.content_type = type;
    }
    response.body = asset.content;
    return response;
  }
  return ErrorResponse(404, "not_found", "The page has no file " + std::string(name.substr(0, 200)) + ".");
}

}  // namespace likeness
