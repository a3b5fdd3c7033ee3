#include "index/token_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/descriptor.h"
#include "index/token_format.h"
#include "types/local_feature.h"

namespace likeness {
namespace {

constexpr size_t kFileBuffer = 1 << 20;

// A posting with its word, packed so that 20 bytes hold it.
struct Record {
  uint32_t word;
  uint32_t doc;
  uint32_t signature[2];
  uint32_t geometry;
};
static_assert(sizeof(Record) == 20);

template <typename T>
T Load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

Record RecordOf(ConstLocalRow row, uint32_t doc) {
  const std::byte* const from = row.data();
  Record record{.word = Load<uint32_t>(from), .doc = doc, .signature = {}, .geometry = 0};
  std::memcpy(record.signature, from + 4, 8);
  record.geometry = PackTokenGeometry(Load<uint16_t>(from + 12), Load<uint16_t>(from + 14), Load<uint8_t>(from + 16),
                                      Load<uint8_t>(from + 17));
  return record;
}

// Sorts by word, and otherwise leaves the order as it is. `spare` is of the same size and holds anything afterwards.
void SortByWord(std::vector<Record>& records, std::vector<Record>& spare) {
  static_assert(kMostTokenWords == 1u << 24);
  spare.resize(records.size());
  for (const int shift : {0, 12}) {
    std::vector<size_t> begins(4097, 0);
    for (const Record& record : records) ++begins[(record.word >> shift & 4095) + 1];
    for (size_t i = 1; i < begins.size(); ++i) begins[i] += begins[i - 1];
    for (const Record& record : records) spare[begins[record.word >> shift & 4095]++] = record;
    records.swap(spare);
  }
}

// Appends to a file through a buffer, and takes it away unless it is kept.
class OutFile {
 public:
  explicit OutFile(std::filesystem::path path) : path_(std::move(path)), action_("cannot write " + path_.string()) {}
  ~OutFile() {
    if (fd_.get() >= 0 && !kept_) ::unlink(path_.c_str());
  }

  absl::Status Open() {
    fd_ = Descriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    return fd_.get() < 0 ? ErrnoStatus(errno, action_) : absl::OkStatus();
  }
  bool is_open() const { return fd_.get() >= 0; }
  uint64_t size() const { return size_; }
  int fd() const { return fd_.get(); }
  const std::filesystem::path& path() const { return path_; }

  absl::Status Append(std::span<const std::byte> bytes) {
    size_ += bytes.size();
    if (buffer_.size() + bytes.size() > kFileBuffer) LIKENESS_RETURN_IF_ERROR(Flush());
    if (bytes.size() > kFileBuffer) return WriteAll(fd_.get(), bytes, action_);
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    return absl::OkStatus();
  }
  template <typename T>
  absl::Status AppendAll(std::span<const T> values) {
    return Append(std::as_bytes(values));
  }
  absl::Status Flush() {
    LIKENESS_RETURN_IF_ERROR(WriteAll(fd_.get(), buffer_, action_));
    buffer_.clear();
    return absl::OkStatus();
  }
  absl::Status Keep() {
    LIKENESS_RETURN_IF_ERROR(Flush());
    if (fd_.Close() != 0) {
      const int error = errno;
      ::unlink(path_.c_str());
      return ErrnoStatus(error, action_);
    }
    kept_ = true;
    return absl::OkStatus();
  }

 private:
  std::filesystem::path path_;
  std::string action_;
  Descriptor fd_;
  std::vector<std::byte> buffer_;
  uint64_t size_ = 0;
  bool kept_ = false;
};

// One sorted run, read front to back from the file of runs, or as it stands in memory.
class RunReader {
 public:
  explicit RunReader(std::span<const Record> records) : window_(records) {}
  RunReader(int fd, uint64_t begin, uint64_t end, size_t buffer) : fd_(fd), at_(begin), end_(end), buffer_(buffer) {}

  // Null at the end.
  absl::StatusOr<const Record*> Peek() {
    if (next_ == window_.size()) {
      if (at_ == end_) return nullptr;
      const size_t bytes = std::min<uint64_t>(buffer_ * sizeof(Record), end_ - at_);
      records_.resize(bytes / sizeof(Record));
      for (size_t done = 0; done < bytes;) {
        const ssize_t got =
            ::pread(fd_, reinterpret_cast<char*>(records_.data()) + done, bytes - done, static_cast<off_t>(at_ + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return ErrnoStatus(got < 0 ? errno : EIO, "cannot read back sorted postings");
        done += static_cast<size_t>(got);
      }
      at_ += bytes;
      window_ = records_;
      next_ = 0;
    }
    return &window_[next_];
  }
  void Next() { ++next_; }

 private:
  std::span<const Record> window_;
  size_t next_ = 0;
  int fd_ = -1;
  uint64_t at_ = 0, end_ = 0;  // bytes of the file
  size_t buffer_ = 0;          // records
  std::vector<Record> records_;
};

}  // namespace

struct TokenWriter::State {
  State(const std::filesystem::path& path, FeatureKey key, const TokenWriterOptions& options)
      : out(path),
        runs(path.string() + ".runs"),
        feature(std::move(key)),
        run_records(std::max<size_t>(options.sort_bytes / sizeof(Record), kTokenPartPostings)) {}

  absl::Status SpillRun();
  absl::Status WriteLists();
  absl::Status AddPosting(const Record& record);
  absl::Status FinishPart();

  OutFile out;
  OutFile runs;
  const FeatureKey feature;
  const size_t run_records;
  std::vector<Record> records, spare;
  std::vector<uint64_t> run_ends;        // bytes of `runs`
  std::vector<uint32_t> word_documents;  // by word
  std::vector<double> squares;           // by document: of its norm
  std::vector<Record> part;              // of one word
  std::vector<TokenPartEntry> entries;
  std::vector<std::byte> bytes;  // of a part
  uint64_t postings = 0;
  bool sealed = false;
};

TokenWriter::TokenWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
TokenWriter::~TokenWriter() = default;

uint64_t TokenWriter::doc_count() const { return state_->squares.size(); }

absl::StatusOr<std::unique_ptr<TokenWriter>> TokenWriter::Create(const std::filesystem::path& path,
                                                                 const FeatureKey& feature,
                                                                 const TokenWriterOptions& options) {
  if (FeatureKey::Parse(feature.ToString()) != feature) {
    return absl::InvalidArgumentError("\"" + feature.ToString() + "\" is not the name of a feature, TYPE/VERSION");
  }
  auto state = std::make_unique<State>(path, feature, options);
  LIKENESS_RETURN_IF_ERROR(state->out.Open());
  return std::unique_ptr<TokenWriter>(new TokenWriter(std::move(state)));
}

absl::Status TokenWriter::Add(std::span<const std::byte> rows) {
  State& state = *state_;
  const auto doc = static_cast<uint32_t>(state.squares.size());
  state.squares.push_back(0);
  if (rows.size() % kLocalRowSize != 0) {
    return absl::DataLossError("a value of local features of " + std::to_string(rows.size()) +
                               " bytes, which is no multiple of " + std::to_string(kLocalRowSize));
  }
  uint32_t before = 0;
  for (size_t at = 0; at < rows.size(); at += kLocalRowSize) {
    const auto word = Load<uint32_t>(rows.data() + at);
    if (word < before || word >= kMostTokenWords) {
      return absl::DataLossError("a value of local features whose words are not in order, or too large");
    }
    before = word;
  }
  if (state.records.size() + rows.size() / kLocalRowSize > state.run_records) {
    LIKENESS_RETURN_IF_ERROR(state.SpillRun());
  }
  bool first = true;
  for (size_t at = 0; at < rows.size(); at += kLocalRowSize) {
    const Record record = RecordOf(ConstLocalRow(rows.data() + at, kLocalRowSize), doc);
    if (record.word >= state.word_documents.size()) state.word_documents.resize(record.word + 1, 0);
    if (first || record.word != before) ++state.word_documents[record.word];
    before = record.word;
    first = false;
    state.records.push_back(record);
  }
  return absl::OkStatus();
}

absl::Status TokenWriter::State::SpillRun() {
  if (records.empty()) return absl::OkStatus();
  if (!runs.is_open()) LIKENESS_RETURN_IF_ERROR(runs.Open());
  SortByWord(records, spare);
  LIKENESS_RETURN_IF_ERROR(runs.AppendAll(std::span<const Record>(records)));
  run_ends.push_back(runs.size());
  records.clear();
  return absl::OkStatus();
}

absl::Status TokenWriter::State::WriteLists() {
  // Runs follow one another by document, so that a word's postings are those of the first run, then of the second.
  std::vector<RunReader> readers;
  if (run_ends.empty()) {
    SortByWord(records, spare);
    readers.emplace_back(std::span<const Record>(records));
  } else {
    LIKENESS_RETURN_IF_ERROR(SpillRun());
    LIKENESS_RETURN_IF_ERROR(runs.Flush());
    std::vector<Record>().swap(records);
    std::vector<Record>().swap(spare);
    const size_t buffer = std::max<size_t>(run_records / run_ends.size() / 4, 1024);
    uint64_t begin = 0;
    for (const uint64_t end : run_ends) {
      readers.emplace_back(runs.fd(), begin, end, buffer);
      begin = end;
    }
  }
  for (;;) {
    uint32_t word = kMostTokenWords;
    for (RunReader& reader : readers) {
      LIKENESS_ASSIGN_OR_RETURN(const Record* const next, reader.Peek());
      if (next != nullptr) word = std::min(word, next->word);
    }
    if (word == kMostTokenWords) return absl::OkStatus();
    for (RunReader& reader : readers) {
      for (;; reader.Next()) {
        LIKENESS_ASSIGN_OR_RETURN(const Record* const next, reader.Peek());
        if (next == nullptr || next->word != word) break;
        LIKENESS_RETURN_IF_ERROR(AddPosting(*next));
      }
    }
    LIKENESS_RETURN_IF_ERROR(FinishPart());
  }
}

absl::Status TokenWriter::State::AddPosting(const Record& record) {
  const double weight = TokenWeight(squares.size(), word_documents[record.word]);
  squares[record.doc] += weight * weight;
  part.push_back(record);
  ++postings;
  return part.size() == kTokenPartPostings ? FinishPart() : absl::OkStatus();
}

absl::Status TokenWriter::State::FinishPart() {
  if (part.empty()) return absl::OkStatus();
  const size_t n = part.size(), blocks = TokenBlocks(n);
  std::vector<uint32_t> bases(blocks);
  std::vector<uint8_t> widths(blocks);
  size_t gap_bytes = 0;
  for (size_t block = 0; block < blocks; ++block) {
    const size_t begin = block * kTokenBlock, end = std::min<size_t>(n, begin + kTokenBlock);
    uint32_t all = 0;
    for (size_t i = begin + 1; i < end; ++i) all |= part[i].doc - part[i - 1].doc;
    bases[block] = part[begin].doc;
    widths[block] = static_cast<uint8_t>(std::bit_width(all));
    gap_bytes += TokenGapBytes(end - begin, widths[block]);
  }
  const size_t fixed = 12 * n + 5 * blocks;
  bytes.assign(fixed + gap_bytes + sizeof(uint64_t), {});  // room for the last gap to be written as a whole word
  std::byte* at = bytes.data();
  for (const Record& record : part) at = std::copy_n(reinterpret_cast<const std::byte*>(record.signature), 8, at);
  for (const Record& record : part) at = std::copy_n(reinterpret_cast<const std::byte*>(&record.geometry), 4, at);
  at = std::ranges::copy(std::as_bytes(std::span(bases)), at).out;
  at = std::ranges::copy(std::as_bytes(std::span(widths)), at).out;
  for (size_t block = 0; block < blocks; ++block) {
    const size_t begin = block * kTokenBlock, end = std::min<size_t>(n, begin + kTokenBlock);
    for (size_t i = begin + 1; i < end; ++i) {
      const size_t bit = (i - begin - 1) * widths[block];
      uint64_t word = Load<uint64_t>(at + bit / 8);
      word |= uint64_t{part[i].doc - part[i - 1].doc} << (bit % 8);
      std::memcpy(at + bit / 8, &word, sizeof(word));
    }
    at += TokenGapBytes(end - begin, widths[block]);
  }
  bytes.resize(fixed + gap_bytes);
  entries.push_back({.offset = out.size(),
                     .checksum = Checksum(bytes),
                     .word = part.front().word,
                     .postings = static_cast<uint32_t>(n),
                     .documents = word_documents[part.front().word],
                     .bytes = static_cast<uint32_t>(bytes.size())});
  part.clear();
  return out.Append(bytes);
}

absl::Status TokenWriter::Seal() {
  State& state = *state_;
  if (std::exchange(state.sealed, true)) return absl::FailedPreconditionError("a token file is sealed once");
  OutFile& out = state.out;
  const auto sum = [](auto& object) {
    object.checksum = Checksum(
        std::as_bytes(std::span(&object, 1)).first(offsetof(std::remove_reference_t<decltype(object)>, checksum)));
  };
  TokensHeader header{.documents = state.squares.size()};
  sum(header);
  LIKENESS_RETURN_IF_ERROR(out.Append(std::as_bytes(std::span(&header, 1))));
  LIKENESS_RETURN_IF_ERROR(state.WriteLists());
  const std::array<std::byte, kTokenTablesAlignment> zeros{};
  const size_t over = out.size() % kTokenTablesAlignment;
  if (over != 0) {
    LIKENESS_RETURN_IF_ERROR(out.AppendAll(std::span<const std::byte>(zeros).first(kTokenTablesAlignment - over)));
  }
  const std::string name = state.feature.ToString();
  std::vector<float> norms;
  for (const double square : state.squares) norms.push_back(static_cast<float>(std::sqrt(square)));
  std::vector<std::byte> tables;
  for (const auto bytes : {std::as_bytes(std::span(state.entries)), std::as_bytes(std::span(norms)), AsBytes(name)}) {
    tables.insert(tables.end(), bytes.begin(), bytes.end());
  }
  TokensFooter footer{.tables_offset = out.size(),
                      .tables_checksum = Checksum(tables),
                      .parts = state.entries.size(),
                      .postings = state.postings,
                      .file_length = out.size() + tables.size() + sizeof(TokensFooter),
                      .feature_length = static_cast<uint32_t>(name.size())};
  sum(footer);
  LIKENESS_RETURN_IF_ERROR(out.Append(tables));
  LIKENESS_RETURN_IF_ERROR(out.Append(std::as_bytes(std::span(&footer, 1))));
  return out.Keep();
}

}  // namespace likeness
