// A collection's home folder and what is in it.
#pragma once

#include <filesystem>
#include <memory>

#include "base/status.h"
#include "catalog/catalog.h"
#include "image/limits.h"
#include "index/token_cache.h"
#include "infer/model_library.h"
#include "object/object_store.h"
#include "pipeline/config.h"
#include "queue/queue.h"
#include "types/signature.h"

namespace likeness {

// HOME/catalog.sqlite, HOME/queue.sqlite, HOME/objects/, HOME/models/, HOME/likeness.toml. Any thread; several
// processes may have one home open at once.
class Home {
 public:
  // `create`: makes a home where there is none; otherwise NotFound with the command that makes one.
  static absl::StatusOr<std::unique_ptr<Home>> Open(const std::filesystem::path& path, bool create);

  const std::filesystem::path& path() const { return path_; }
  const Config& config() const { return config_; }
  Config& mutable_config() { return config_; }  // for flags of the command line, before anything runs
  Catalog& catalog() const { return *catalog_; }
  ObjectStore& objects() const { return *objects_; }
  Queue& queue() const { return *queue_; }
  const ModelLibrary& models() const { return models_; }
  // One for all token indexes of the process, of [tokens] cache_bytes.
  const std::shared_ptr<TokenCache>& token_cache() const { return token_cache_; }

  // A path for a file that is being made, different at every call, in a folder that exists. Whoever asked removes the
  // file; what a killed process left is removed when the home is next opened.
  absl::StatusOr<std::filesystem::path> ScratchFile(const std::string& name) const;

  // The original bytes of an image, wherever they lie, checked against the signature; when its first file is gone or
  // holds other bytes, those of any other path that had them. Errors: NotFound (its file is gone), FailedPrecondition
  // (its file now holds other bytes: add it again), OutOfRange (larger than the limit), Unavailable (the folder is
  // gone).
  absl::StatusOr<std::string> ReadImage(const ImageRecord& image) const;

 private:
  Home(std::filesystem::path path, ModelLibrary models) : path_(std::move(path)), models_(std::move(models)) {}

  absl::StatusOr<std::string> ReadFrom(const std::filesystem::path& file, const Signature& signature) const;

  std::filesystem::path path_;
  Config config_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<ObjectStore> objects_;
  std::unique_ptr<Queue> queue_;
  ModelLibrary models_;
  std::shared_ptr<TokenCache> token_cache_;
};

}  // namespace likeness
