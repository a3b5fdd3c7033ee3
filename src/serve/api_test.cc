#include "serve/api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "serve/fake_backend.h"

namespace likeness {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ApiTest : public testing::Test {
 protected:
  ApiTest() { api_.AllowHosts({"localhost:1"}); }

  ApiResponse Send(std::string method, std::string target, std::string_view type = "", std::string_view body = "") {
    ApiRequest request{std::move(method), std::move(target), {{"host", "localhost:1"}}, body};
    if (!type.empty()) request.headers.emplace_back("content-type", type);
    for (const auto& header : extra_) request.headers.push_back(header);
    return api_.Handle(request);
  }
  ApiResponse Get(std::string target) { return Send("GET", std::move(target)); }
  // The message of the error, after checking all else about it.
  std::string Error(const ApiResponse& response, int status, const std::string& code) {
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_EQ(response.content_type, "application/json");
    const json body = json::parse(response.body, nullptr, false);
    if (!body.is_object() || body.size() != 1 || !body.contains("error")) return "not an error: " + response.body;
    EXPECT_EQ(body["error"]["code"], code);
    return body["error"]["message"];
  }
  static std::string Header(const ApiResponse& response, std::string_view name) {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return "";
  }

  FakeBackend backend_;
  Signature shoe_ = backend_.Add("a red shoe", "jpeg", "a red \xFF\xFE shoe");
  Api api_{backend_, ApiOptions()};
  std::vector<std::pair<std::string, std::string>> extra_;
};

TEST_F(ApiTest, EveryDocumentedPathHasARouteAndTheOtherWayRound) {
  std::ifstream file(LIKENESS_SOURCE_DIR "/docs/openapi.yaml");
  ASSERT_TRUE(file) << "docs/openapi.yaml is not there";
  std::set<std::string> documented;
  std::string path;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("  /") && line.ends_with(":")) path = line.substr(2, line.size() - 3);
    for (const char* method : {"get", "post", "put", "delete", "patch"}) {
      if (!path.empty() && line == std::string("    ") + method + ":") {
        std::string upper(method);
        for (char& c : upper) c = static_cast<char>(c - 'a' + 'A');
        documented.insert(upper + " " + path);
      }
    }
    if (line == "components:") path.clear();
  }
  std::set<std::string> served;
  for (const Api::RouteName& route : Api::Routes()) {
    served.insert(std::string(route.method) + " " + std::string(route.path));
  }
  EXPECT_EQ(served, documented);
}

TEST_F(ApiTest, SearchTakesARawPictureWithParametersInTheAddress) {
  const ApiResponse response =
      Send("POST", "/v1/search?k=5&region=1,2,30,40&board=shoes&text=red%20shoe+x", "image/jpeg", "abc");
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(backend_.last().k, 5U);
  EXPECT_EQ(backend_.last().region, (Region{1, 2, 30, 40}));
  EXPECT_EQ(backend_.last().filter.board, "shoes");
  EXPECT_EQ(backend_.last().filter.text, "red shoe x");
  const json answer = json::parse(response.body);  // throws on bytes that are no UTF-8
  EXPECT_EQ(answer["query"]["region"]["width"], 30);
  EXPECT_EQ(answer["results"].size(), 1U);
}

TEST_F(ApiTest, SearchTakesASignature) {
  const std::string body = R"({"signature":")" + shoe_.Hex() + R"(","k":1000,"text":"red"})";
  EXPECT_EQ(Send("POST", "/v1/search", "application/json; charset=utf-8", body).status, 200);
  EXPECT_EQ(backend_.last().signature, shoe_);
  EXPECT_EQ(backend_.last().k, 1000U);
}

TEST_F(ApiTest, TellsWhatProbabilitiesWereCalibratedOn) {
  const auto ask = [&](const std::string& body) {
    return json::parse(Send("POST", "/v1/search", "application/json", body).body);
  };
  const std::string shoe = R"({"signature":")" + shoe_.Hex() + R"("})";
  json answer = ask(shoe);
  EXPECT_EQ(answer["ranking"]["calibration"], nullptr);
  EXPECT_FALSE(answer["results"][0]["evidence"].contains("probability"));
  backend_.Calibrate(SearchAnswer::Calibration::kShipped);
  answer = ask(shoe);
  EXPECT_EQ(answer["ranking"]["calibration"], "shipped");
  EXPECT_EQ(answer["results"][0]["evidence"]["probability"], 0.25) << "as before there was such a word";
  backend_.Calibrate(SearchAnswer::Calibration::kHome);
  answer = ask(shoe);
  EXPECT_EQ(answer["ranking"]["calibration"], "home");
  EXPECT_EQ(answer["results"][0]["evidence"]["probability"], 0.25);
  answer = ask(R"({"color":"red"})");
  EXPECT_EQ(answer["ranking"]["calibration"], nullptr) << "of a color nothing is probable";
}

TEST_F(ApiTest, SearchTakesAColorBesideAPictureOrAlone) {
  const auto ask = [&](const std::string& body) { return Send("POST", "/v1/search", "application/json", body); };
  const ApiResponse beside = ask(R"({"signature":")" + shoe_.Hex() + R"(","color":"Navy Blue","color_weight":0.25})");
  ASSERT_EQ(beside.status, 200) << beside.body;
  ASSERT_TRUE(backend_.last().color);
  EXPECT_EQ(backend_.last().color->weight, 0.25F);
  const json both = json::parse(beside.body);
  EXPECT_EQ(both["query"]["color"]["weight"], 0.25);
  EXPECT_THAT(both["query"]["color"]["color"], testing::MatchesRegex("#[0-9a-f]+"));
  const json& evidence = both["results"][0]["evidence"];
  EXPECT_EQ(evidence["code_bits"], 64);
  EXPECT_EQ(evidence["color"]["match"], 0.25);
  EXPECT_EQ(evidence["color"]["distance"], 0.75);
  ASSERT_EQ(evidence["color"]["palette"].size(), 1U);
  EXPECT_EQ(evidence["color"]["palette"][0]["color"], "#777777");

  const ApiResponse alone = ask(R"({"color":"#ff0000","k":3})");
  ASSERT_EQ(alone.status, 200) << alone.body;
  EXPECT_FALSE(backend_.last().signature);
  const json color = json::parse(alone.body);
  EXPECT_TRUE(color["query"]["signature"].is_null());
  EXPECT_EQ(color["query"]["color"]["weight"], 1.0);
  EXPECT_TRUE(color["results"][0]["distance"].is_null());
  EXPECT_TRUE(color["results"][0]["evidence"]["cosine"].is_null());

  EXPECT_EQ(Send("POST", "/v1/search?color=%23ff0000&color_weight=1", "image/png", "x").status, 200);
  EXPECT_EQ(backend_.last().color->weight, 1.0F);
}

TEST_F(ApiTest, WhatIsWrongWithAColorIsNamed) {
  const auto raw = [&](const std::string& query) {
    return Error(Send("POST", "/v1/search?" + query, "image/png", "x"), 400, "invalid_argument");
  };
  EXPECT_THAT(raw("color=reddish-ish"), HasSubstr("reddish-ish"));
  EXPECT_THAT(raw("color=%23ff00"), HasSubstr("#rrggbb"));
  EXPECT_THAT(raw("color_weight=0.5"), HasSubstr("without a color"));
  for (const char* weight : {"2", "-0.1", "nan", "", "0.5x"}) {
    EXPECT_THAT(raw(std::string("color=red&color_weight=") + weight), HasSubstr("0 to 1")) << weight;
  }
  const auto with_json = [&](const std::string& body) {
    return Error(Send("POST", "/v1/search", "application/json", body), 400, "invalid_argument");
  };
  EXPECT_THAT(with_json(R"({"color":7})"), HasSubstr("color"));
  EXPECT_THAT(with_json(R"({"color":"red","color_weight":"0.5"})"), HasSubstr("0 to 1"));
  EXPECT_THAT(with_json(R"({"color":"red","region":{"x":0,"y":0,"width":1,"height":1}})"), HasSubstr("region"));
  EXPECT_EQ(backend_.searches(), 0);
}

TEST_F(ApiTest, TellsTheColorsOfAPicture) {
  const ApiResponse response = Get("/v1/images/" + shoe_.Hex() + "/colors");
  ASSERT_EQ(response.status, 200) << response.body;
  const json colors = json::parse(response.body)["colors"];
  ASSERT_EQ(colors.size(), 2U);
  EXPECT_EQ(colors[0]["color"], "#c8141e");
  EXPECT_EQ(colors[0]["weight"], 0.75);
  EXPECT_FALSE(colors[0]["name"].get<std::string>().empty());
  EXPECT_EQ(Get("/v1/images/" + std::string(32, 'f') + "/colors").status, 404);
  EXPECT_EQ(Get("/v1/images/" + shoe_.Hex() + "/colors?k=1").status, 400);
}

TEST_F(ApiTest, SearchTakesAForm) {
  const std::string body =
      "--XX\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a;b.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n"
      "bytes\r\n--X of a picture\r\n--XX\r\ncontent-disposition: form-data; name=request\r\n\r\n"
      "{\"k\":3,\"region\":{\"x\":0,\"y\":0,\"width\":2,\"height\":2}}\r\n--XX--\r\n";
  ASSERT_EQ(Send("POST", "/v1/search", "multipart/form-data; boundary=\"XX\"", body).status, 200);
  EXPECT_EQ(backend_.last().k, 3U);
  EXPECT_EQ(AsText(backend_.last().image), "bytes\r\n--X of a picture");
}

TEST_F(ApiTest, WhatIsWrongWithASearchIsNamed) {
  const auto raw = [&](const std::string& query) {
    return Error(Send("POST", "/v1/search?" + query, "image/png", "x"), 400, "invalid_argument");
  };
  EXPECT_THAT(raw("k=0"), HasSubstr("k is '0'"));
  EXPECT_THAT(raw("k=1001"), HasSubstr("1000"));
  EXPECT_THAT(raw("k=%201"), HasSubstr("k is"));
  EXPECT_THAT(raw("k=1&k=2"), HasSubstr("twice"));
  EXPECT_THAT(raw("K=1"), HasSubstr("'K'"));
  EXPECT_THAT(raw("region=1,2,3"), HasSubstr("region"));
  EXPECT_THAT(raw("region=1,2,0,4"), HasSubstr("region"));
  EXPECT_THAT(raw("text=" + std::string(1025, 'a')), HasSubstr("text"));
  EXPECT_THAT(raw("text=%zz"), HasSubstr("%"));
  const auto with_json = [&](const std::string& body) {
    return Error(Send("POST", "/v1/search", "application/json", body), 400, "invalid_argument");
  };
  EXPECT_THAT(with_json("{}"), HasSubstr("signature"));
  EXPECT_THAT(with_json("[]"), HasSubstr("object"));
  EXPECT_THAT(with_json("{\"signature\":\"\xFF\"}"), HasSubstr("UTF-8"));
  EXPECT_THAT(with_json(R"({"signature":"abc"})"), HasSubstr("signature"));
  EXPECT_THAT(with_json(R"({"colour":1})"), HasSubstr("'colour'"));
  EXPECT_THAT(with_json(R"({"k":2.5})"), HasSubstr("k is not"));
  EXPECT_THAT(with_json(R"({"k":-1})"), HasSubstr("k is not"));
  EXPECT_THAT(with_json(R"({"region":{"x":0,"y":0,"width":1}})"), HasSubstr("region"));
  EXPECT_THAT(with_json(R"({"region":{"x":0,"y":0,"width":0,"height":1}})"), HasSubstr("region.width"));
  EXPECT_THAT(with_json(R"({"region":{"x":0,"y":0,"width":4294967296,"height":1}})"), HasSubstr("region.width"));
  EXPECT_THAT(with_json(std::string(100'000, '[')), HasSubstr("64 KiB"));
  EXPECT_THAT(Error(Send("POST", "/v1/search?k=2", "application/json", "{}"), 400, "invalid_argument"),
              HasSubstr("'k'"));
  EXPECT_THAT(Error(Send("POST", "/v1/search", "image/png", ""), 400, "invalid_argument"), HasSubstr("empty"));
  EXPECT_THAT(Error(Send("POST", "/v1/search", "text/plain", "x"), 415, "invalid_argument"), HasSubstr("text/plain"));
  EXPECT_THAT(Error(Send("POST", "/v1/search", "", "x"), 415, "invalid_argument"), HasSubstr("type"));
  EXPECT_EQ(backend_.searches(), 0);
}

TEST_F(ApiTest, WhatIsWrongWithAFormIsNamed) {
  const auto form = [&](const std::string& body) {
    return Error(Send("POST", "/v1/search", "multipart/form-data; boundary=XX", body), 400, "invalid_argument");
  };
  const auto part = [](const std::string& name) {
    return "--XX\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\nx\r\n";
  };
  EXPECT_THAT(form(""), HasSubstr("boundary"));
  EXPECT_THAT(form("--XX--\r\n"), HasSubstr("'image'"));
  EXPECT_THAT(form(part("image")), HasSubstr("whole"));
  EXPECT_THAT(form(part("image") + part("image") + "--XX--"), HasSubstr("twice"));
  EXPECT_THAT(form(part("image") + part("other") + "--XX--"), HasSubstr("'other'"));
  EXPECT_THAT(form(part("image") + part("request") + "--XX--"), HasSubstr("JSON"));
  EXPECT_THAT(form("--XX\r\n\r\nx\r\n--XX--"), HasSubstr("name"));
  EXPECT_THAT(form("--XX\r\nA: " + std::string(9000, 'a') + "\r\n\r\nx\r\n--XX--"), HasSubstr("8 KiB"));
  std::string many;
  for (int i = 0; i < 20; ++i) many += part("p" + std::to_string(i));
  EXPECT_THAT(form(many + "--XX--"), HasSubstr("16 parts"));
  EXPECT_THAT(Error(Send("POST", "/v1/search", "multipart/form-data", part("image")), 400, "invalid_argument"),
              HasSubstr("boundary"));
}

TEST_F(ApiTest, FaultsBecomeStatusesByBlame) {
  const auto search = [&](const absl::Status& status) {
    backend_.Fail(status);
    return Send("POST", "/v1/search", "image/png", "x");
  };
  Error(search(absl::InvalidArgumentError("a")), 400, "invalid_argument");
  Error(search(absl::NotFoundError("a")), 404, "not_found");
  Error(search(absl::FailedPreconditionError("a")), 409, "failed_precondition");
  for (const absl::Status& status :
       {absl::DataLossError("a"), absl::UnimplementedError("a"), absl::OutOfRangeError("a")}) {
    EXPECT_EQ(Error(search(status), 422, "data_loss"), "This image cannot be read: a");
  }
  EXPECT_EQ(Header(search(absl::UnavailableError("a")), "Retry-After"), "1");
  Error(search(absl::ResourceExhaustedError("a")), 503, "unavailable");
  Error(search(absl::DeadlineExceededError("a")), 504, "deadline_exceeded");
  Error(search(absl::InternalError("\xC3(")), 500, "internal");
  // A damaged catalog is no fault of a picture.
  backend_.Fail(absl::DataLossError("a"));
  Error(Get("/v1/images"), 500, "internal");
  Error(Get("/v1/status"), 500, "internal");
}

TEST_F(ApiTest, StatusShowsEachCellAndWhoWorksAtIt) {
  const json status = json::parse(Get("/v1/status").body);
  std::vector<std::string> states;
  for (const json& cell : status["cells"]) states.push_back(cell["state"]);
  EXPECT_THAT(states, testing::ElementsAre("done", "running", "running", "missing"));
  EXPECT_EQ(status["cells"][1]["parts"], 2);
  EXPECT_EQ(status["quarantined"][0]["attempts"], 3);
  EXPECT_EQ(status["tasks"][0]["worker"], "here.1.0");
  EXPECT_EQ(status["tasks"][0]["attempt"], 2);
  EXPECT_EQ(status["tasks"][0]["lease_seconds_left"], 12.5);
  EXPECT_EQ(status["workers"][0]["images_per_second"], 20.5);
  EXPECT_EQ(status["workers"][0]["last_seen"], "2026-11-22T00:00:00Z");
  EXPECT_EQ(status["queue"]["waiting"], 4);
  EXPECT_EQ(status["queue"]["oldest_seconds"], nullptr);
}

TEST_F(ApiTest, ListsAndDescribesImages) {
  const json list = json::parse(Get("/v1/images?limit=10&text=red").body);
  EXPECT_EQ(list["total"], 1);
  EXPECT_EQ(list["images"][0]["signature"], shoe_.Hex());
  EXPECT_EQ(json::parse(Get("/v1/images?offset=1").body)["images"].size(), 0U);
  const json image = json::parse(Get("/v1/images/" + shoe_.Hex()).body);
  EXPECT_EQ(image["format"], "jpeg");
  EXPECT_EQ(image["epoch"], "2026-11-22");
  EXPECT_EQ(image["source"], "pictures/" + shoe_.Hex().substr(0, 8));
  EXPECT_EQ(image["features"][0]["feature"], "deep.tiny");
  EXPECT_EQ(json::parse(Get("/v1/boards").body)["boards"][0]["board"], "shoes");
  EXPECT_EQ(list["release"], "20261122T000000Z") << "each answer names its release";
  EXPECT_EQ(json::parse(Get("/v1/status").body)["release"], nullptr);
  Error(Get("/v1/images?limit=1001"), 400, "invalid_argument");
  Error(Get("/v1/images?offset=-1"), 400, "invalid_argument");
  Error(Get("/v1/images?page=1"), 400, "invalid_argument");
  Error(Get("/v1/images/abc"), 400, "invalid_argument");
  Error(Get("/v1/images/" + std::string(32, 'A')), 400, "invalid_argument");
  Error(Get("/v1/images/" + std::string(32, 'a')), 404, "not_found");
  Error(Get("/v1/images/" + shoe_.Hex() + "/other"), 404, "not_found");
  Error(Get("/v1/images/"), 404, "not_found");
}

TEST_F(ApiTest, TellsTheDuplicatesOfAPicture) {
  const Signature copy = backend_.Add("the same shoe, smaller", "jpeg", "a copy");
  backend_.Add("another shoe", "jpeg", "another");
  const ApiResponse response = Get("/v1/images/" + shoe_.Hex() + "/duplicates");
  ASSERT_EQ(response.status, 200) << response.body;
  const json body = json::parse(response.body);
  EXPECT_EQ(body["query"]["signature"], shoe_.Hex());
  ASSERT_EQ(body["matches"].size(), 2u);
  EXPECT_EQ(body["matches"][0]["verdict"], "same");
  EXPECT_EQ(body["matches"][1]["verdict"], "similar");
  EXPECT_EQ(body["matches"][0]["evidence"]["transform"], (std::vector<double>{1, 0, 0, 0, 1, 0}));
  EXPECT_EQ(body["matches"][0]["pins"][0]["board"], "shoes");
  EXPECT_EQ(Error(Get("/v1/images/" + std::string(32, '0') + "/duplicates"), 404, "not_found").substr(0, 3), "The");
  EXPECT_EQ(Get("/v1/images/" + copy.Hex() + "/duplicates?k=3").status, 400);

  for (const char* type : {"image/jpeg", "application/octet-stream"}) {
    const ApiResponse upload = Send("POST", "/v1/duplicates", type, "bytes of a picture");
    ASSERT_EQ(upload.status, 200) << upload.body;
    EXPECT_EQ(json::parse(upload.body)["matches"].size(), 3u);
  }
  EXPECT_EQ(Send("POST", "/v1/duplicates", "application/json", "{}").status, 415);
  EXPECT_EQ(Send("POST", "/v1/duplicates", "text/plain", "x").status, 415);
  EXPECT_EQ(Send("POST", "/v1/duplicates", "image/png", "").status, 400);
  EXPECT_EQ(Send("POST", "/v1/duplicates?k=5", "image/png", "x").status, 400);
  EXPECT_EQ(Header(Send("DELETE", "/v1/duplicates"), "Allow"), "GET, HEAD, POST");
  const std::string form =
      "--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nbytes\r\n"
      "--b\r\nContent-Disposition: form-data; name=\"request\"\r\n\r\n{\"color\":\"red\"}\r\n--b--\r\n";
  EXPECT_THAT(Error(Send("POST", "/v1/duplicates", "multipart/form-data; boundary=b", form), 400, "invalid_argument"),
              HasSubstr("send 'image' alone"));
}

TEST_F(ApiTest, ListsTheDuplicatesOfTheCollection) {
  backend_.Add("the same shoe, smaller", "jpeg", "a copy");
  const json before = json::parse(Get("/v1/duplicates").body);
  EXPECT_EQ(before["state"], "running");
  EXPECT_EQ(before["clusters"], json::array());
  const json page = json::parse(Get("/v1/duplicates?offset=0&limit=5").body);
  EXPECT_EQ(page["state"], "done");
  EXPECT_EQ(page["total"], 1);
  ASSERT_EQ(page["clusters"].size(), 1u);
  EXPECT_EQ(page["clusters"][0]["members"].size(), 1u);
  EXPECT_EQ(page["clusters"][0]["members"][0]["verdict"], "same");
  EXPECT_EQ(json::parse(Get("/v1/duplicates?offset=3").body)["clusters"], json::array());
  for (const char* query : {"?limit=0", "?limit=101", "?offset=-1", "?unknown=1"}) {
    EXPECT_EQ(Get(std::string("/v1/duplicates") + query).status, 400) << query;
  }
  backend_.Fail(absl::FailedPreconditionError("nothing is indexed yet"));
  EXPECT_THAT(Error(Get("/v1/duplicates"), 409, "failed_precondition"), HasSubstr("indexed"));
}

TEST_F(ApiTest, PixelsAreNeverRun) {
  const ApiResponse response = Get("/v1/images/" + shoe_.Hex() + "/pixels");
  EXPECT_EQ(response.body, "a red shoe");
  EXPECT_EQ(response.content_type, "image/jpeg");
  EXPECT_EQ(Header(response, "X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(Header(response, "Cache-Control"), "public, max-age=31536000, immutable");
  EXPECT_THAT(Header(response, "Content-Security-Policy"), HasSubstr("sandbox"));
  const Signature svg = backend_.Add("<svg onload=alert(1)>", "svg", "");
  const ApiResponse other = Get("/v1/images/" + svg.Hex() + "/pixels");
  EXPECT_EQ(other.content_type, "application/octet-stream");
  EXPECT_EQ(Header(other, "Content-Disposition"), "attachment");
}

TEST_F(ApiTest, ThumbnailsAreMadeOnceAndNotSentTwice) {
  const std::string target = "/v1/images/" + shoe_.Hex() + "/thumbnail";
  const ApiResponse first = Get(target + "?size=200");
  EXPECT_EQ(first.content_type, "image/jpeg");
  EXPECT_THAT(first.body, HasSubstr("thumbnail of 256"));
  EXPECT_EQ(Get(target).body, first.body);  // 256 is the default
  EXPECT_EQ(backend_.thumbnails(), 1);
  extra_ = {{"if-none-match", "\"x\", " + Header(first, "ETag")}};
  EXPECT_EQ(Get(target).status, 304);
  Error(Get(target + "?size=63"), 400, "invalid_argument");
  Error(Get(target + "?size=1025"), 400, "invalid_argument");
}

TEST_F(ApiTest, APictureIsTakenInWithItsWords) {
  const ApiResponse created = Send("POST", "/v1/images?board=shoes&description=red%20shoe", "image/jpeg", "new bytes");
  ASSERT_EQ(created.status, 201) << created.body;
  const json answer = json::parse(created.body);
  EXPECT_EQ(answer["searchable"], true);
  EXPECT_EQ(Header(created, "Location"), "/v1/images/" + answer["signature"].get<std::string>());
  EXPECT_EQ(backend_.last_pin().board, "shoes");
  EXPECT_EQ(backend_.last_pin().description, "red shoe");
  EXPECT_EQ(Send("POST", "/v1/images", "image/jpeg", "new bytes").status, 200) << "it is there already";
  const auto form = [&](const std::string& parts) {
    return Send("POST", "/v1/images", "multipart/form-data; boundary=b", parts + "--b--\r\n");
  };
  const auto part = [](const std::string& name, const std::string& value) {
    return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
  };
  EXPECT_EQ(form(part("image", "other") + part("link", "https://example.org/x")).status, 201);
  EXPECT_EQ(backend_.last_pin().link, "https://example.org/x");
  Error(form(part("description", "words")), 400, "invalid_argument");
  Error(form(part("image", "a") + part("image", "b")), 400, "invalid_argument");
  Error(form(part("image", "")), 400, "invalid_argument");
  EXPECT_THAT(Error(form(part("image", "a") + part("colour", "b")), 400, "invalid_argument"), HasSubstr("colour"));
  EXPECT_THAT(Error(form(part("image", "a") + part("link", "javascript:x")), 400, "invalid_argument"),
              HasSubstr("link"));
  Error(Send("POST", "/v1/images", "text/plain", "x"), 415, "invalid_argument");
  Error(Send("POST", "/v1/images?k=1", "image/jpeg", "x"), 400, "invalid_argument");
}

TEST_F(ApiTest, APictureIsRemovedAndThenUnknown) {
  const std::string path = "/v1/images/" + shoe_.Hex();
  EXPECT_EQ(Send("DELETE", path).status, 200);
  Error(Send("DELETE", path), 404, "not_found");
  Error(Get(path), 404, "not_found");
  Error(Send("DELETE", "/v1/images/nonsense"), 400, "invalid_argument");
}

TEST_F(ApiTest, APageOfAnotherOriginChangesNothing) {
  const std::string path = "/v1/images/" + shoe_.Hex();
  extra_ = {{"origin", "http://example.com"}};
  Error(Send("DELETE", path), 403, "permission_denied");
  Error(Send("POST", "/v1/images", "image/jpeg", "x"), 403, "permission_denied");
  extra_ = {{"origin", "null"}};
  Error(Send("DELETE", path), 403, "permission_denied");
  EXPECT_EQ(Get(path).status, 200);
}

TEST_F(ApiTest, OtherMethodsAreToldWhichThereAre) {
  const ApiResponse response = Send("GET", "/v1/search");
  Error(response, 405, "unimplemented");
  EXPECT_EQ(Header(response, "Allow"), "POST");
  EXPECT_EQ(Header(Send("DELETE", "/v1/images"), "Allow"), "GET, HEAD, POST");
  Error(Send("OPTIONS", "/healthz"), 405, "unimplemented");
  EXPECT_EQ(Send("HEAD", "/healthz").status, 200);
}

TEST_F(ApiTest, AnswersOnlyUnderItsOwnNames) {
  ApiRequest request{"GET", "/healthz", {{"host", "elsewhere.example.com:1"}}, ""};
  EXPECT_THAT(Error(api_.Handle(request), 400, "invalid_argument"), HasSubstr("elsewhere.example.com"));
  request.headers = {{"host", "LOCALHOST:1"}};
  EXPECT_EQ(api_.Handle(request).status, 200);
  request.headers = {};
  EXPECT_EQ(api_.Handle(request).status, 400);
}

TEST_F(ApiTest, PageAndAssetsCarryTheirTypesAndTags) {
  const ApiResponse page = Get("/?signature=x");
  ASSERT_EQ(page.status, 200) << "the page is not built in";
  EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
  EXPECT_THAT(Header(page, "Content-Security-Policy"), HasSubstr("frame-ancestors 'none'"));
  const ApiResponse script = Get("/assets/app.js");
  EXPECT_EQ(script.content_type, "text/javascript; charset=utf-8");
  EXPECT_THAT(script.body, HasSubstr("import"));
  extra_ = {{"if-none-match", Header(script, "ETag")}};
  EXPECT_EQ(Get("/assets/app.js").status, 304);
  Error(Get("/assets/index.html"), 404, "not_found");
  Error(Get("/assets/..%2fapp.js"), 404, "not_found");
}

TEST_F(ApiTest, MetricsCountByRoute) {
  Get("/v1/images/" + shoe_.Hex());
  Get("/no/such/path");
  Send("POST", "/v1/search", "image/png", "x");
  const std::string text = Get("/metrics").body;
  EXPECT_THAT(text, HasSubstr(R"(likeness_http_requests_total{path="/v1/images/{signature}",status="200"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(likeness_http_requests_total{path="other",status="404"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(likeness_search_stage_seconds_count{stage="feature"} 1)"));
  EXPECT_THAT(text, HasSubstr("likeness_release_images 1"));
  EXPECT_THAT(text, HasSubstr("likeness_young_images 3"));
  EXPECT_THAT(text, HasSubstr("likeness_young_segments 2"));
  EXPECT_THAT(text, testing::Not(HasSubstr("no/such")));
}

TEST(AccessTest, TokenIsWantedOnTheApiAlone) {
  FakeBackend backend;
  ApiOptions options;
  options.access.token = "0123456789abcdef";
  Api api(backend, options);
  ApiRequest request{"GET", "/v1/status", {}, ""};
  ApiResponse response = api.Handle(request);
  EXPECT_EQ(response.status, 401);
  EXPECT_THAT(response.headers, testing::Contains(testing::Pair("WWW-Authenticate", "Bearer")));
  for (const char* wrong : {"Bearer 0123456789abcdeX", "Bearer 0123456789abcdef0", "Bearer ", "Basic 0123456789abcdef",
                            "0123456789abcdef"}) {
    request.headers = {{"authorization", wrong}};
    EXPECT_EQ(api.Handle(request).status, 401) << wrong;
  }
  request.headers = {{"authorization", "bearer 0123456789abcdef"}};
  EXPECT_EQ(api.Handle(request).status, 200);
  request.headers.clear();
  for (const char* open : {"/healthz", "/assets/app.js"}) {
    request.target = open;
    EXPECT_NE(api.Handle(request).status, 401) << open;
  }
  for (const char* closed : {"/metrics", "/v1/nothing", "/v1%2fstatus"}) {
    request.target = closed;
    EXPECT_EQ(api.Handle(request).status, 401) << closed;
  }
}

TEST(AccessTest, TokenFileMustBeItsOwnersAlone) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "likeness_token";
  const auto write = [&](std::string_view text, std::filesystem::perms perms) {
    ASSERT_TRUE(WriteFileAtomic(path, AsBytes(text)).ok());
    std::filesystem::permissions(path, perms);
  };
  using std::filesystem::perms;
  write("0123456789abcdef\nsecond line\n", perms::owner_read | perms::owner_write);
  EXPECT_EQ(ReadToken(path).value(), "0123456789abcdef");
  write("0123456789abcdef\n", perms::owner_read | perms::others_read);
  EXPECT_TRUE(absl::IsFailedPrecondition(ReadToken(path).status()));
  write("short\n", perms::owner_read);
  EXPECT_TRUE(absl::IsInvalidArgument(ReadToken(path).status()));
  write("with spaces in the token\n", perms::owner_read);
  EXPECT_TRUE(absl::IsInvalidArgument(ReadToken(path).status()));
  std::filesystem::remove(path);
  EXPECT_TRUE(absl::IsNotFound(ReadToken(path).status()));
}

}  // namespace
}  // namespace likeness
