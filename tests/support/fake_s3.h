// As much of S3 as a store needs, in memory behind an HttpStub, with a place to misbehave.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "support/http_stub.h"

namespace likeness {

class FakeS3 {
 public:
  struct Object {
    std::string content;
    std::map<std::string, std::string> meta;
    std::string etag;
  };

  // Called before a request is carried out: an answer instead of that.
  std::function<std::optional<StubReply>(const StubRequest&)> before = [](const StubRequest&) { return std::nullopt; };
  // Called after: may change the answer.
  std::function<void(const StubRequest&, StubReply&)> after = [](const StubRequest&, StubReply&) {};
  bool honors_conditions = true;
  bool honors_parts = true;  // the condition at the end of an upload in parts

  std::string endpoint() const { return "http://" + stub_.address(); }
  std::map<std::string, Object> objects;       // by "/bucket/key"; under lock
  std::map<std::string, std::string> uploads;  // under lock
  std::vector<std::string> calls;              // "PUT /bucket/key?query"; under lock
  std::mutex lock;

  size_t Calls(const std::string& start) {
    const std::lock_guard guard(lock);
    return static_cast<size_t>(
        std::ranges::count_if(calls, [&](const std::string& call) { return call.starts_with(start); }));
  }

  static StubReply Error(int status, const std::string& code) {
    return {.status = status, .body = "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code></Error>"};
  }

 private:
  StubReply Answer(const StubRequest& request) {
    const std::lock_guard guard(lock);
    calls.push_back(request.method + " " + request.path + (request.query.empty() ? "" : "?" + request.query));
    if (auto reply = before(request)) return *reply;
    StubReply reply = Carry(request);
    after(request, reply);
    return reply;
  }

  bool Refused(const StubRequest& request, bool honors) {
    const auto found = objects.find(request.path);
    if (!honors) return false;
    if (request.Header("if-none-match") == "*") return found != objects.end();
    const std::string match = request.Header("if-match");
    return !match.empty() && (found == objects.end() || found->second.etag != match);
  }

  void Store(const StubRequest& request, std::string content, std::map<std::string, std::string> meta) {
    std::array<std::byte, 16> md5;
    Md5(AsBytes(content), md5);
    objects[request.path] = {std::move(content), std::move(meta), HexEncode(md5)};
  }

  static std::map<std::string, std::string> Meta(const StubRequest& request) {
    std::map<std::string, std::string> meta;
    for (const auto& [name, value] : request.headers) {
      if (name.starts_with("x-amz-meta-")) meta[name] = value;
    }
    return meta;
  }

  StubReply Carry(const StubRequest& request) {
    const auto found = objects.find(request.path);
    if (request.method == "POST" && request.query == "uploads=") {
      const std::string id = "upload" + std::to_string(uploads.size());
      uploads[id] = "";
      upload_meta_[id] = Meta(request);
      return {.body = "<R><UploadId>" + id + "</UploadId></R>"};
    }
    const size_t mark = request.query.find("uploadId=");
    if (mark != std::string::npos) {
      const std::string id = request.query.substr(mark + 9);
      if (!uploads.contains(id)) return Error(404, "NoSuchUpload");
      if (request.method == "PUT") {
        const int part = std::stoi(request.query.substr(request.query.find('=') + 1));
        parts_[id][part] = request.body;
        return {.headers = {{"etag", "\"part" + std::to_string(part) + "\""}}};
      }
      if (request.method == "POST" && Refused(request, honors_parts)) return Error(412, "PreconditionFailed");
      if (request.method == "POST") {
        std::string content;
        for (const auto& [part, piece] : parts_[id]) content += piece;
        Store(request, content, upload_meta_[id]);
        objects[request.path].etag += "-2";
      }
      uploads.erase(id);
      return {.status = request.method == "POST" ? 200 : 204, .body = request.method == "POST" ? "<R/>" : ""};
    }
    if (request.method == "PUT") {
      if (Refused(request, honors_conditions)) return Error(412, "PreconditionFailed");
      if (Sha256Hex(AsBytes(request.body)) != request.Header("x-amz-content-sha256")) {
        return Error(400, "XAmzContentSHA256Mismatch");
      }
      Store(request, request.body, Meta(request));
      return {.headers = {{"etag", "\"" + objects[request.path].etag + "\""}}};
    }
    if (request.method == "DELETE") {
      objects.erase(request.path);
      return {.status = 204};
    }
    if (found == objects.end()) return Error(404, "NoSuchKey");
    StubReply reply{.headers = found->second.meta, .body = found->second.content};
    reply.headers["etag"] = "\"" + found->second.etag + "\"";
    reply.headers["content-length"] = std::to_string(reply.body.size());
    return reply;
  }

  std::map<std::string, std::map<int, std::string>> parts_;
  std::map<std::string, std::map<std::string, std::string>> upload_meta_;
  HttpStub stub_{[this](const StubRequest& request) { return Answer(request); }};
};

}  // namespace likeness
