#include "tests/fault/collection.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <thread>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"
#include "pipeline/add.h"
#include "pipeline/features.h"
#include "pipeline/fingerprint.h"
#include "tests/support/fixed_clock.h"
#include "tests/support/tiny_model.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;

// Whether the worker holds a chunk now.
bool Holds(Home& home, const Process& worker) {
  const std::string name = "." + std::to_string(worker.id()) + ".";
  const auto flying = home.queue().InFlight(100);
  return flying.ok() && std::ranges::any_of(*flying, [&](const TaskInFlight& task) {
           return task.worker.find(name) != std::string::npos;
         });
}

// Waits until the worker holds a chunk. False when it has ended: the queue is empty.
bool AwaitLease(Home& home, Process& worker) {
  while (worker.Running()) {
    if (Holds(home, worker)) return true;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return false;
}

}  // namespace

bool FullRun() { return std::getenv("LIKENESS_FULL") != nullptr; }

std::vector<std::filesystem::path> ProductPictures(size_t limit) {
  const char* given = std::getenv("LIKENESS_DATA");
  const std::filesystem::path data = given != nullptr ? given : LIKENESS_SOURCE_DIR "/../shared/data";
  std::vector<std::filesystem::path> pictures;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(data / "products" / "images", error)) {
    pictures.push_back(entry.path());
  }
  if (pictures.empty()) std::cout << "skipped: no photographs in " << data << " (LIKENESS_DATA says where they are)\n";
  std::ranges::sort(pictures);
  if (pictures.size() > limit) pictures.resize(limit);
  return pictures;
}

Process::Process(const std::string& program, const std::vector<std::string>& arguments,
                 const std::filesystem::path& log) {
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  process_ = ::fork();
  if (process_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(file, STDOUT_FILENO);
  ::dup2(file, STDERR_FILENO);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

Process::~Process() {
  Signal(SIGKILL);
  Wait();
}

void Process::Reap(int options) {
  if (!ended_ && ::waitpid(process_, &status_, options) == process_) ended_ = true;
}

bool Process::Running() {
  Reap(WNOHANG);
  return !ended_;
}

void Process::Signal(int signal) {
  if (Running()) ::kill(process_, signal);
}

int Process::Wait() {
  while (!ended_) Reap(0);
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_);
}

std::unique_ptr<Process> StartWorker(const std::filesystem::path& home) {
  return std::make_unique<Process>(
      LIKENESS_BINARY, std::vector<std::string>{"--home", home.string(), "--json", "worker", "--until-idle"},
      home / "worker.log");
}

std::unique_ptr<Home> MakeCollection(const std::filesystem::path& path,
                                     const std::vector<std::filesystem::path>& pictures,
                                     const CollectionOptions& options) {
  std::ostringstream toml;
  toml << "threads = 1\n[deep]\nmodels = [\"tiny\"]\ncode_bits = 64\n[features]\ntypes = [\"deep\", \"pdq\"]\n"
       << "[fingerprint]\nchunk_images = " << options.chunk_images << "\npart_images = " << options.part_images << "\n";
  if (options.shard_images > 0) toml << "shard_images = " << options.shard_images << "\n";
  toml << options.sections;
  if (options.sections.find("[queue]") == std::string::npos) toml << "[queue]\n";
  toml << "lease_seconds = " << options.lease_seconds << "\n";
  std::filesystem::create_directories(path);
  EXPECT_TRUE(WriteFileAtomic(path / "likeness.toml", AsBytes(toml.str())).ok());
  EXPECT_TRUE(InstallTinyModel(path / "models", "tiny").ok());
  absl::StatusOr<std::unique_ptr<Home>> home = Home::Open(path, true);
  if (!home.ok()) {
    ADD_FAILURE() << home.status();
    return nullptr;
  }
  std::stringstream lines;
  for (const auto& picture : pictures) lines << picture.string() << "\n";
  const auto added = AddLines(**home, lines, path, {.threads = 2}, {}, FixedClock("2026-11-22"));
  EXPECT_TRUE(added.ok()) << added.status();
  return *std::move(home);
}

std::map<std::string, std::string> Outputs(Home& home) {
  std::map<std::string, std::string> outputs;
  for (const char* prefix : {"features/", "fingerprints/", "indexes/"}) {
    const auto objects = ListAll(home.objects(), prefix);
    EXPECT_TRUE(objects.ok()) << objects.status();
    if (!objects.ok()) continue;
    for (const ObjectInfo& object : *objects) {
      const auto blob = home.objects().Get(object.key);
      EXPECT_TRUE(blob.ok()) << object.key << ": " << blob.status();
      if (blob.ok()) outputs[object.key] = Sha256Hex(blob->bytes());
    }
  }
  return outputs;
}

void Finish(Home& home) {
  const auto features = CurrentFeatures(home);
  ASSERT_TRUE(features.ok()) << features.status();
  const auto stats = home.queue().Stats();
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_EQ(stats->waiting + stats->leased, 0u) << "the workers went before the queue was empty";
  const auto joined = RunJoin(home, *features, {});
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(joined->incomplete, 0u);
  const auto plan = RunPlan(home, *features, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->images, 0u) << "images that were lost";
  const auto built = BuildFeatures(home, *features);
  ASSERT_TRUE(built.ok()) << built.status();
  ASSERT_TRUE(MaterialiseFingerprints(home, *built, {}).ok());
  const auto index = BuildIndex(home, *built, {});
  ASSERT_TRUE(index.ok()) << index.status();
}

std::map<std::string, std::string> Undisturbed(const std::filesystem::path& path,
                                               const std::vector<std::filesystem::path>& pictures,
                                               CollectionOptions options) {
  options.sections.clear();
  const auto home = MakeCollection(path, pictures, options);
  if (home == nullptr) return {};
  home->mutable_config().threads = 2;
  const auto extractors = CurrentExtractors(*home);
  EXPECT_TRUE(extractors.ok()) << extractors.status();
  const auto report = RunFingerprint(*home, *extractors, {});
  EXPECT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->work.decoded, pictures.size());
  Finish(*home);
  return Outputs(*home);
}

int KillWorkers(Home& home, size_t workers, int kills, uint64_t seed) {
  Random random(seed);
  std::vector<std::unique_ptr<Process>> running;
  for (size_t i = 0; i < workers; ++i) running.push_back(StartWorker(home.path()));
  int landed = 0;
  while (landed < kills) {
    auto& victim = running[random.Below(workers)];
    if (!AwaitLease(home, *victim)) break;
    // Somewhere in this chunk, or in one of the next. Who is stopped cannot give a chunk back while it is looked for.
    std::this_thread::sleep_for(milliseconds(static_cast<int64_t>(random.Below(300))));
    victim->Signal(SIGSTOP);
    if (!victim->Running() || !Holds(home, *victim)) {
      victim->Signal(SIGCONT);
      continue;
    }
    victim->Signal(SIGKILL);
    landed += victim->Wait() == -SIGKILL;
    victim = StartWorker(home.path());
  }
  for (auto& worker : running) EXPECT_EQ(worker->Wait(), 0) << *ReadFile(home.path() / "worker.log");
  return landed;
}

}  // namespace likeness
