#include "store/fingerprint_file.h"

#include <rocksdb/env.h>
#include <rocksdb/iterator.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <rocksdb/table_properties.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <optional>

#include "base/bytes.h"
#include "store/fingerprint_codec.h"
#include "store/shard_metadata.h"
#include "store/sst_identity.h"

namespace likeness {
namespace {

constexpr char kFormat[] = "likeness.fingerprints";
constexpr int kVersion = 1;
// The disk begins to write after so many bytes, while more are made, so that there is little left to wait for at the
// end.
constexpr uint64_t kWriteBack = 1 << 20;

absl::Status FromRocks(const rocksdb::Status& status, const std::filesystem::path& path) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = path.string() + ": " + status.ToString();
  if (status.IsNotFound() || status.IsPathNotFound()) return absl::NotFoundError(message);
  if (status.IsCorruption() || status.IsInvalidArgument()) return absl::DataLossError(message);
  if (status.IsNotSupported()) return absl::UnimplementedError(message);
  if (status.IsNoSpace()) return ErrnoStatus(ENOSPC, "cannot write " + path.string());
  if (status.IsMemoryLimit()) return absl::ResourceExhaustedError(message);
  if (status.IsIOError() || status.IsBusy() || status.IsTryAgain()) return absl::UnavailableError(message);
  return absl::InternalError(message);
}

// RocksDB throws where a damaged file asks it for more memory than there is.
template <typename Call>
auto Contained(const std::filesystem::path& path, Call call) -> decltype(call()) {
  try {
    return call();
  } catch (const std::exception& error) {
    return absl::DataLossError(path.string() + ": RocksDB cannot read it: " + error.what());
  }
}

// Our own properties, which every file carries beside RocksDB's.
class PropertiesOfOurs final : public rocksdb::TablePropertiesCollectorFactory {
 public:
  explicit PropertiesOfOurs(const ShardId& shard) : shard_(shard) {}
  const char* Name() const override { return kFormat; }
  rocksdb::TablePropertiesCollector* CreateTablePropertiesCollector(Context) override { return new Collector(shard_); }

 private:
  class Collector final : public rocksdb::TablePropertiesCollector {
   public:
    explicit Collector(const ShardId& shard) : shard_(shard) {}
    const char* Name() const override { return kFormat; }
    // Without this RocksDB writes a complaint for its log at every key.
    rocksdb::Status AddUserKey(const rocksdb::Slice&, const rocksdb::Slice&, rocksdb::EntryType,
                               rocksdb::SequenceNumber, uint64_t) override {
      return rocksdb::Status::OK();
    }
    rocksdb::Status Finish(rocksdb::UserCollectedProperties* out) override {
      *out = GetReadableProperties();
      return rocksdb::Status::OK();
    }
    rocksdb::UserCollectedProperties GetReadableProperties() const override {
      return {{"likeness.format", kFormat},
              {"likeness.format_version", std::to_string(kVersion)},
              {"likeness.epoch", shard_.epoch.ToString()},
              {"likeness.shard", std::to_string(shard_.shard)}};
    }

   private:
    const ShardId shard_;
  };
  const ShardId shard_;
};

// The same for writing and reading. Nothing is compressed: codes and vectors have nothing to give, and a mapped block
// needs no copy.
rocksdb::Options SstOptions() {
  rocksdb::Options options;
  options.compression = rocksdb::kNoCompression;
  options.db_host_id = "";  // else the name of the machine is in the file
  options.allow_mmap_reads = true;
  options.info_log_level = rocksdb::FATAL_LEVEL;
  rocksdb::BlockBasedTableOptions table;
  table.format_version = 5;
  table.checksum = rocksdb::kXXH3;
  table.block_size = 4096;
  table.no_block_cache = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

rocksdb::Slice KeyOf(const Signature& signature) {
  return {reinterpret_cast<const char*>(signature.bytes.data()), signature.bytes.size()};
}

}  // namespace

struct FingerprintWriter::File {
  std::filesystem::path path;
  std::optional<rocksdb::SstFileWriter> sst;
  std::optional<Signature> last;
  std::string value;  // of the fingerprint at hand
  bool sealed = false;
};

FingerprintWriter::FingerprintWriter(std::unique_ptr<File> file) : file_(std::move(file)) {}

FingerprintWriter::~FingerprintWriter() {
  if (file_->sealed) return;
  file_->sst.reset();
  std::error_code unused;
  std::filesystem::remove(file_->path, unused);
}

absl::StatusOr<std::unique_ptr<FingerprintWriter>> FingerprintWriter::Create(const std::filesystem::path& path,
                                                                             const ShardId& shard) {
  auto file = std::make_unique<File>();
  file->path = path;
  rocksdb::Options options = SstOptions();
  options.table_properties_collector_factories.push_back(std::make_shared<PropertiesOfOurs>(shard));
  rocksdb::EnvOptions env;
  env.bytes_per_sync = kWriteBack;
  file->sst.emplace(env, options, nullptr, /*invalidate_page_cache=*/false);
  LIKENESS_RETURN_IF_ERROR(FromRocks(file->sst->Open(path.string()), path));
  return std::unique_ptr<FingerprintWriter>(new FingerprintWriter(std::move(file)));
}

absl::Status FingerprintWriter::Add(const Fingerprint& fingerprint) {
  if (file_->last && !(*file_->last < fingerprint.signature)) {
    return absl::InvalidArgumentError("fingerprints must come in ascending order of signatures: " +
                                      fingerprint.signature.Hex() + " came after " + file_->last->Hex());
  }
  file_->value.clear();
  LIKENESS_RETURN_IF_ERROR(AppendFingerprint(fingerprint, file_->value));
  LIKENESS_RETURN_IF_ERROR(FromRocks(file_->sst->Put(KeyOf(fingerprint.signature), file_->value), file_->path));
  file_->last = fingerprint.signature;
  return absl::OkStatus();
}

absl::Status FingerprintWriter::Seal() {
  if (!file_->last) return absl::FailedPreconditionError(file_->path.string() + ": there is no fingerprint to write");
  LIKENESS_RETURN_IF_ERROR(FromRocks(file_->sst->Finish(), file_->path));
  std::string session;
  {
    rocksdb::SstFileReader reader(SstOptions());
    LIKENESS_RETURN_IF_ERROR(FromRocks(reader.Open(file_->path.string()), file_->path));
    session = reader.GetTableProperties()->db_session_id;
  }
  LIKENESS_RETURN_IF_ERROR(PinSstIdentity(file_->path, session));
  file_->sealed = true;
  return absl::OkStatus();
}

struct FingerprintFile::File {
  File() : sst(SstOptions()) {}
  std::unique_ptr<rocksdb::Iterator> Iterate() const {
    rocksdb::ReadOptions options;
    options.verify_checksums = true;
    return std::unique_ptr<rocksdb::Iterator>(sst.NewIterator(options));
  }

  std::filesystem::path path;
  mutable rocksdb::SstFileReader sst;  // NewIterator and the verification change nothing, but are not const
  std::shared_ptr<const rocksdb::TableProperties> properties;
  ShardId shard;
};

FingerprintFile::FingerprintFile(std::unique_ptr<File> file) : file_(std::move(file)) {}
FingerprintFile::~FingerprintFile() = default;

absl::StatusOr<std::unique_ptr<FingerprintFile>> FingerprintFile::Open(const std::filesystem::path& path) {
  return Contained(path, [&]() -> absl::StatusOr<std::unique_ptr<FingerprintFile>> {
    auto file = std::make_unique<File>();
    file->path = path;
    LIKENESS_RETURN_IF_ERROR(FromRocks(file->sst.Open(path.string()), path));
    file->properties = file->sst.GetTableProperties();
    const auto& ours = file->properties->user_collected_properties;
    const auto find = [&](const char* name) {
      const auto found = ours.find(name);
      return found == ours.end() ? std::string() : found->second;
    };
    const auto refuse = [&](const std::string& reason) { return absl::DataLossError(path.string() + ": " + reason); };
    if (find("likeness.format") != kFormat) return refuse("an SST file, but not of fingerprints");
    const std::optional<uint32_t> version = ParseNumber(find("likeness.format_version"));
    if (!version || *version == 0) return refuse("its format version is not a number from 1");
    if (*version > kVersion) {
      return absl::UnimplementedError(path.string() + ": fingerprints of version " + std::to_string(*version) +
                                      " are newer than this program, which reads up to " + std::to_string(kVersion));
    }
    const std::optional<Epoch> epoch = Epoch::Parse(find("likeness.epoch"));
    const std::optional<uint32_t> shard = ParseNumber(find("likeness.shard"));
    if (!epoch || !shard) return refuse("it names no shard");
    file->shard = {*epoch, *shard};
    return std::unique_ptr<FingerprintFile>(new FingerprintFile(std::move(file)));
  });
}

uint64_t FingerprintFile::size() const { return file_->properties->num_entries; }

const ShardId& FingerprintFile::shard() const { return file_->shard; }

absl::StatusOr<Fingerprint> FingerprintFile::Get(const Signature& signature) const {
  return Contained(file_->path, [&]() -> absl::StatusOr<Fingerprint> {
    const auto found = file_->Iterate();
    found->Seek(KeyOf(signature));
    LIKENESS_RETURN_IF_ERROR(FromRocks(found->status(), file_->path));
    if (!found->Valid() || found->key() != KeyOf(signature)) {
      return absl::NotFoundError("there is no fingerprint of " + signature.Hex());
    }
    return DecodeFingerprint(signature, {found->value().data(), found->value().size()});
  });
}

absl::Status FingerprintFile::ForEach(const std::function<absl::Status(Fingerprint)>& visit) const {
  return Contained(file_->path, [&]() -> absl::Status {
    const auto at = file_->Iterate();
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      Signature signature;
      if (at->key().size() != signature.bytes.size()) {
        return absl::DataLossError(file_->path.string() + ": a key is not a signature");
      }
      std::memcpy(signature.bytes.data(), at->key().data(), signature.bytes.size());
      LIKENESS_ASSIGN_OR_RETURN(Fingerprint fingerprint,
                                DecodeFingerprint(signature, {at->value().data(), at->value().size()}));
      LIKENESS_RETURN_IF_ERROR(visit(std::move(fingerprint)));
    }
    return FromRocks(at->status(), file_->path);
  });
}

absl::Status FingerprintFile::VerifyChecksum() const {
  return Contained(file_->path, [&] { return FromRocks(file_->sst.VerifyChecksum(), file_->path); });
}

std::map<std::string, std::string> FingerprintFile::Properties() const {
  const rocksdb::TableProperties& properties = *file_->properties;
  std::map<std::string, std::string> all = {
      {"rocksdb.entries", std::to_string(properties.num_entries)},
      {"rocksdb.data_bytes", std::to_string(properties.data_size)},
      {"rocksdb.index_bytes", std::to_string(properties.index_size)},
      {"rocksdb.data_blocks", std::to_string(properties.num_data_blocks)},
      {"rocksdb.compression", properties.compression_name},
      {"rocksdb.identity", properties.db_session_id},
  };
  for (const auto& [name, value] : properties.user_collected_properties) {
    if (name.starts_with("likeness.")) all[name] = value;
  }
  return all;
}

}  // namespace likeness
