// A collection of real photographs on engines of a test's choice, and its workers as real processes, for the tests that
// end them.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/home.h"
#include "pipeline/plan.h"

namespace likeness {

// $LIKENESS_FULL: the tests do all that they promise, which takes minutes, instead of a part of it.
bool FullRun();

// At most `limit` of the photographs products/. Empty, with a message, where the data are absent: skip the test.
std::vector<std::filesystem::path> ProductPictures(size_t limit);

// A process of the program, or of another one. It is killed at the end, if it still runs.
class Process {
 public:
  // Its output goes to `log`. `program`: a path, argv[0] too.
  Process(const std::string& program, const std::vector<std::string>& arguments, const std::filesystem::path& log);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t id() const { return process_; }
  bool Running();           // false once it has ended
  void Signal(int signal);  // does nothing when it has ended
  // Its exit code; minus the signal when one ended it.
  int Wait();

 private:
  void Reap(int options);
  pid_t process_ = -1;
  bool ended_ = false;
  int status_ = 0;
};

// `likeness worker --until-idle` on the home.
std::unique_ptr<Process> StartWorker(const std::filesystem::path& home);

struct CollectionOptions {
  size_t shard_images = 0;  // 0: as the program does
  size_t chunk_images = 16;
  size_t part_images = 8;
  double lease_seconds = 10;
  std::string sections;  // of likeness.toml: engines
};

// Makes a home with two features, deep (of a tiny model) and pdq, and adds the pictures to it, as of one certain day.
std::unique_ptr<Home> MakeCollection(const std::filesystem::path& path,
                                     const std::vector<std::filesystem::path>& pictures,
                                     const CollectionOptions& options);

// The digest of every object that a run makes (features/, fingerprints/, indexes/), by key. Fails the test when one
// cannot be read.
std::map<std::string, std::string> Outputs(Home& home);

// Jobs 4 and 5 and the index, after the queue has become empty. Fails the test when an image lacks a feature then.
void Finish(Home& home);

// The outputs of a run over the pictures that nothing disturbs, in one process on the embedded engines.
std::map<std::string, std::string> Undisturbed(const std::filesystem::path& path,
                                               const std::vector<std::filesystem::path>& pictures,
                                               CollectionOptions options);

// kill -9 of one of `workers` workers, each at a random moment at which it holds a chunk, until so many kills have
// landed or the queue is empty; then waits until the workers have emptied it. Returns how many landed.
int KillWorkers(Home& home, size_t workers, int kills, uint64_t seed);

}  // namespace likeness
