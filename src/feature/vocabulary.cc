#include "feature/vocabulary.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "base/file.h"
#include "kernel/dot.h"
#include "store/safetensors.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSize = kLocalDescriptorSize, kBits = kWordSignatureBits;
constexpr std::string_view kFormat = "likeness.vocabulary";
constexpr int kFormatVersion = 1;

absl::Status CheckParts(const VocabularyParts& parts) {
  const size_t n = parts.words.size() / kSize;
  const std::vector<uint32_t>& begins = parts.cells.begins;
  if (n == 0 || n > kMostWords || parts.words.size() != n * kSize || parts.medians.size() != n * kBits ||
      parts.projection.size() != kBits * kSize || begins.size() < 2 ||
      parts.cells.centers.size() != (begins.size() - 1) * kSize) {
    return absl::DataLossError("the parts of the vocabulary do not fit together");
  }
  if (begins.front() != 0 || begins.back() != n || !std::ranges::is_sorted(begins)) {
    return absl::DataLossError("the cells of the vocabulary do not fit its words");
  }
  if (!std::ranges::all_of(parts.projection, [](float v) { return std::abs(v) <= 1.01f; })) {
    return absl::DataLossError("the projection of the vocabulary is not one");
  }
  return absl::OkStatus();
}

template <typename T>
TensorData Tensor(std::string name, Dtype dtype, std::vector<uint64_t> shape, const std::vector<T>& values) {
  return {{std::move(name), dtype, std::move(shape)}, std::as_bytes(std::span(values))};
}

absl::StatusOr<std::string> Encode(const VocabularyParts& parts) {
  const uint64_t n = parts.words.size() / kSize, cells = parts.cells.begins.size() - 1;
  const TensorData tensors[] = {Tensor("words", Dtype::kU8, {n, kSize}, parts.words),
                                Tensor("medians", Dtype::kI8, {n, kBits}, parts.medians),
                                Tensor("cells", Dtype::kU8, {cells, kSize}, parts.cells.centers),
                                Tensor("cell_begins", Dtype::kU32, {cells + 1}, parts.cells.begins),
                                Tensor("projection", Dtype::kF32, {kBits, kSize}, parts.projection)};
  return WriteSafetensors(tensors, {{"format", std::string(kFormat)},
                                    {"format_version", std::to_string(kFormatVersion)},
                                    {"descriptor_revision", std::to_string(kLocalDescriptorRevision)},
                                    {"seed", std::to_string(parts.seed)},
                                    {"trained_on", std::to_string(parts.trained_on)},
                                    {"rounds", std::to_string(parts.rounds)}});
}

// Opens the file and checks its head.
absl::StatusOr<Safetensors> OpenHead(const fs::path& path) {
  LIKENESS_ASSIGN_OR_RETURN(const auto mapped, MappedFile::Open(path));
  LIKENESS_ASSIGN_OR_RETURN(Safetensors file, Safetensors::Open(Blob(mapped, mapped->bytes())));
  LIKENESS_ASSIGN_OR_RETURN(const std::string format, file.Metadata("format"));
  if (format != kFormat) return absl::DataLossError("this is no vocabulary but " + format);
  LIKENESS_ASSIGN_OR_RETURN(const std::string version, file.Metadata("format_version"));
  if (version != std::to_string(kFormatVersion)) {
    return absl::UnimplementedError("its format version is " + version + "; this program reads version " +
                                    std::to_string(kFormatVersion));
  }
  LIKENESS_ASSIGN_OR_RETURN(const std::string revision, file.Metadata("descriptor_revision"));
  if (revision != std::to_string(kLocalDescriptorRevision)) {
    return absl::FailedPreconditionError(
        "the vocabulary was trained for another revision of the descriptors: train it again with "
        "`likeness train vocabulary`");
  }
  return file;
}

absl::StatusOr<VocabularyParts> ReadParts(const Safetensors& file) {
  LIKENESS_RETURN_IF_ERROR(file.VerifyChecksum());
  VocabularyParts parts;
  LIKENESS_ASSIGN_OR_RETURN(const auto words, file.Elements<uint8_t>("words", Dtype::kU8));
  LIKENESS_ASSIGN_OR_RETURN(const auto medians, file.Elements<int8_t>("medians", Dtype::kI8));
  LIKENESS_ASSIGN_OR_RETURN(const auto centers, file.Elements<uint8_t>("cells", Dtype::kU8));
  LIKENESS_ASSIGN_OR_RETURN(const auto begins, file.Elements<uint32_t>("cell_begins", Dtype::kU32));
  LIKENESS_ASSIGN_OR_RETURN(const auto projection, file.Elements<float>("projection", Dtype::kF32));
  parts.words.assign(words.begin(), words.end());
  parts.medians.assign(medians.begin(), medians.end());
  parts.cells.centers.assign(centers.begin(), centers.end());
  parts.cells.begins.assign(begins.begin(), begins.end());
  parts.projection.assign(projection.begin(), projection.end());
  LIKENESS_RETURN_IF_ERROR(CheckParts(parts));
  return parts;
}

// The checksum covers words, medians, cells and projection.
absl::StatusOr<std::string> DigestOf(const Safetensors& file) { return file.Metadata("checksum"); }

}  // namespace

Vocabulary::Vocabulary(VocabularyParts parts, std::string digest)
    : parts_(std::move(parts)), digest_(std::move(digest)), search_(parts_.words, parts_.cells) {}

absl::StatusOr<std::shared_ptr<const Vocabulary>> Vocabulary::Open(const fs::path& path) {
  const auto read = [&]() -> absl::StatusOr<std::shared_ptr<const Vocabulary>> {
    LIKENESS_ASSIGN_OR_RETURN(const Safetensors file, OpenHead(path));
    LIKENESS_ASSIGN_OR_RETURN(VocabularyParts parts, ReadParts(file));
    LIKENESS_ASSIGN_OR_RETURN(std::string digest, DigestOf(file));
    return std::shared_ptr<const Vocabulary>(new Vocabulary(std::move(parts), std::move(digest)));
  }();
  return read.ok() ? read : Annotate(read.status(), path.string());
}

absl::StatusOr<std::shared_ptr<const Vocabulary>> Vocabulary::FromParts(VocabularyParts parts) {
  LIKENESS_RETURN_IF_ERROR(CheckParts(parts));
  LIKENESS_ASSIGN_OR_RETURN(std::string bytes, Encode(parts));
  LIKENESS_ASSIGN_OR_RETURN(const Safetensors file, Safetensors::Open(Blob::Of(std::move(bytes))));
  LIKENESS_ASSIGN_OR_RETURN(std::string digest, DigestOf(file));
  return std::shared_ptr<const Vocabulary>(new Vocabulary(std::move(parts), std::move(digest)));
}

uint64_t Vocabulary::Signature(std::span<const uint8_t, kSize> descriptor, uint32_t word) const {
  const uint8_t* center = parts_.words.data() + size_t{word} * kSize;
  const int8_t* medians = parts_.medians.data() + size_t{word} * kBits;
  std::array<float, kSize> difference;
  std::array<float, kBits> projected;
  for (size_t i = 0; i < kSize; ++i) difference[i] = static_cast<float>(int{descriptor[i]} - int{center[i]});
  MatVec(parts_.projection, difference, projected);
  uint64_t bits = 0;
  for (size_t i = 0; i < kBits; ++i) {
    bits |= uint64_t{projected[i] > static_cast<float>(medians[i]) * kMedianStep} << i;
  }
  return bits;
}

absl::Status WriteVocabulary(const fs::path& path, const VocabularyParts& parts) {
  LIKENESS_RETURN_IF_ERROR(CheckParts(parts));
  LIKENESS_ASSIGN_OR_RETURN(const std::string bytes, Encode(parts));
  return WriteFileAtomic(path, std::as_bytes(std::span(bytes)));
}

absl::StatusOr<std::string> ReadVocabularyDigest(const fs::path& path) {
  const auto file = OpenHead(path);
  if (!file.ok()) return Annotate(file.status(), path.string());
  return DigestOf(*file);
}

absl::StatusOr<fs::path> FindVocabulary(const fs::path& home, std::string_view name) {
  std::vector<fs::path> folders = {home / "vocabularies"};
  if (const char* named = std::getenv("LIKENESS_VOCABULARIES"); named != nullptr && *named != '\0') {
    folders.emplace_back(named);
  }
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) folders.push_back(program.parent_path().parent_path() / "share" / "likeness" / "vocabulary");
  folders.push_back(fs::path(LIKENESS_SOURCE_DIR) / "models" / "vocabulary");
  for (const fs::path& folder : folders) {
    fs::path file = folder / (std::string(name) + ".safetensors");
    if (fs::is_regular_file(file, error)) return file;
  }
  return absl::NotFoundError("there is no vocabulary \"" + std::string(name) +
                             "\"; make one with `likeness train vocabulary --out " +
                             (folders.front() / (std::string(name) + ".safetensors")).string() + "`");
}

}  // namespace likeness
