// likeness serve, likeness root: the page and the API over HTTP, until a signal ends it.
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/log.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "serve/adder.h"
#include "serve/api.h"
#include "serve/http_server.h"
#include "serve/search_service.h"
#include "serve/service_backend.h"

namespace likeness {
namespace {

constexpr auto kSignalInterval = std::chrono::milliseconds(50);
constexpr int kReloadEvery = 5;  // signal intervals: a new release serves within a second, loading it included

struct ServeFlags {
  std::string host = "127.0.0.1";
  uint16_t port = 8484;
  std::string token_file;
  bool root = false;  // leaves search
};

absl::StatusOr<CommandOutput> RunServe(const CommonFlags& common, const ServeFlags& flags) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  std::unique_ptr<Searcher> searcher;
  if (flags.root) {
    LIKENESS_ASSIGN_OR_RETURN(searcher, ConnectLeaves(*home));
  }
  LIKENESS_ASSIGN_OR_RETURN(const auto service,
                            SearchService::Open(*home, home->config().threads, std::move(searcher)));
  AdderOptions adder_options;
  adder_options.threads = home->config().threads;
  Adder adder(*service, adder_options);
  ServiceBackend backend(*service, &adder);
  ApiOptions api_options;
  // A root waits most of the time: what its leaves do not bear they send back.
  if (flags.root) api_options.searches = {.at_once = 128, .waiting = 128};
  api_options.thumbnails.folder = home->path() / "thumbnails";
  if (!flags.token_file.empty()) {
    LIKENESS_ASSIGN_OR_RETURN(api_options.access.token, ReadToken(flags.token_file));
  }
  Api api(backend, std::move(api_options));
  HttpServerOptions options;
  options.host = flags.host;
  options.port = flags.port;
  LIKENESS_ASSIGN_OR_RETURN(const auto server, HttpServer::Start(api, options));
  std::printf("serving %s\n", server->url().c_str());
  std::fflush(stdout);

  // The first query should not wait for the model; the page and known images are served meanwhile.
  std::thread warm([&] {
    if (const absl::Status status = service->Warm(); !status.ok()) {
      Log(LogLevel::kWarning, "model_not_ready", {{"reason", MessageOf(status)}});
    }
    if (const absl::Status status = adder.Warm(); !status.ok()) {
      Log(LogLevel::kWarning, "takes_no_pictures_in", {{"reason", MessageOf(status)}});
    }
  });
  absl::Status last;
  for (int i = 0; !StopFlag(); ++i) {
    std::this_thread::sleep_for(kSignalInterval);
    if (i % kReloadEvery != 0) continue;
    const absl::Status status = service->Reload();
    if (!status.ok() && status != last) {
      Log(LogLevel::kError, "release_not_loaded", {{"reason", MessageOf(status)}});
    }
    last = status;
  }
  warm.join();
  server->Stop();
  return CommandOutput{{{"stopped", true}}, "stopped\n"};
}

void AddFace(Program& program, const std::string& name, const std::string& description, bool root) {
  auto flags = std::make_shared<ServeFlags>();
  flags->root = root;
  CLI::App* command = program.Add(name, description, [&program, flags] { return RunServe(program.flags, *flags); });
  command->add_option("--host", flags->host, "Address to listen at; beyond loopback a token file is needed")
      ->capture_default_str();
  command->add_option("--port", flags->port, "Port; 0 takes any that is free")->capture_default_str();
  command->add_option("--token-file", flags->token_file, "File whose first line every request must bring as its token");
}

}  // namespace

void AddServeCommand(Program& program) { AddFace(program, "serve", "Serve the page and the API over HTTP", false); }

void AddRootCommand(Program& program) {
  AddFace(program, "root", "Serve the page and the API over HTTP, with leaves that search", true);
}

}  // namespace likeness
