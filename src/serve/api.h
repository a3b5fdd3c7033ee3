// The HTTP API and the page as a function from a request to an answer; docs/openapi.yaml describes it, and a test holds
// the two together. Sockets are http_server.h.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serve/access.h"
#include "serve/admission.h"
#include "serve/api_message.h"
#include "serve/backend.h"
#include "serve/metrics.h"
#include "serve/target.h"
#include "serve/thumbnails.h"

namespace likeness {

struct ApiOptions {
  ApiOptions();  // searches.at_once: two for each available processor, for pictures are looked at together

  AdmissionOptions searches;
  // New pictures: each waits for its features, which others compute, so that many may be inside.
  AdmissionOptions additions{64, 16, std::chrono::milliseconds(1000)};
  AdmissionOptions pictures{2, 32, std::chrono::milliseconds(4000)};  // thumbnails to be made, and originals
  ThumbnailOptions thumbnails;
  Access access;
};

class Api {
 public:
  // "GET", "/v1/images/{signature}". HEAD is answered wherever GET is.
  struct RouteName {
    std::string_view method;
    std::string_view path;
  };
  static std::span<const RouteName> Routes();

  // `backend` must outlive the API.
  Api(Backend& backend, ApiOptions options);

  // Any thread; never fails, every error is an answer. Takes as long as the work does, with bounded waits before it:
  // at most MaxBlocked() callers are inside of the expensive part or wait for it, others are answered at once.
  ApiResponse Handle(const ApiRequest& request);
  size_t MaxBlocked() const;

  const Access& access() const { return options_.access; }
  // Names that Host may have from now on. REQUIRES: no request is being handled
  void AllowHosts(std::vector<std::string> hosts) { options_.access.hosts = std::move(hosts); }
  Metrics& metrics() { return metrics_; }

 private:
  struct Call {
    const ApiRequest& request;
    const Target& target;
    std::string_view argument;  // what stands for "{...}" in the path
  };
  using Handler = ApiResponse (Api::*)(const Call&);
  struct Route {
    RouteName name;
    Handler handler;
  };
  static std::span<const Route> RouteTable();

  ApiResponse Dispatch(const ApiRequest& request, std::string_view& path);

  ApiResponse Search(const Call& call);
  ApiResponse ListImages(const Call& call);
  ApiResponse GetImage(const Call& call);
  ApiResponse AddImage(const Call& call);
  ApiResponse RemoveImage(const Call& call);
  ApiResponse GetColors(const Call& call);
  ApiResponse GetDuplicates(const Call& call);
  ApiResponse PostDuplicates(const Call& call);
  ApiResponse ListDuplicates(const Call& call);
  ApiResponse FindDuplicates(const Call& call, const DuplicatesRequest& request);
  ApiResponse GetPixels(const Call& call);
  ApiResponse GetThumbnail(const Call& call);
  ApiResponse ListBoards(const Call& call);
  ApiResponse GetStatus(const Call& call);
  ApiResponse GetHealth(const Call& call);
  ApiResponse GetMetrics(const Call& call);
  ApiResponse GetPage(const Call& call);
  ApiResponse GetAsset(const Call& call);

  absl::StatusOr<ImageRecord> Record(std::string_view signature);
  absl::StatusOr<Admission::Ticket> Enter(Admission& gate, std::string_view what, Deadline deadline);
  // With the headers of what never changes; without a body when the client has it already.
  ApiResponse Immutable(const Call& call, const std::string& etag) const;
  ApiResponse AssetResponse(const Call& call, std::string_view name);

  Backend& backend_;
  ApiOptions options_;
  Metrics metrics_;
  Admission searches_;
  Admission additions_;
  Admission pictures_;
  Thumbnails thumbnails_;
  std::map<std::string_view, std::string> asset_tags_;  // strong ETags by name
};

}  // namespace likeness
