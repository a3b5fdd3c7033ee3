#include <algorithm>

#include "catalog/recorder.h"
#include "catalog/rows.h"
#include "catalog/sql_catalog.h"
#include "catalog/words.h"

namespace likeness {
namespace {

// The least text that is greater than every text that begins with `prefix`: UTF-8 has no byte 0xFF, and what is stored
// for it comes after all else.
std::string PrefixEnd(const std::string& prefix) { return ToStored(prefix + '\xff'); }

std::vector<Signature> FetchSignatures(soci::statement& select, const SignatureColumns& columns) {
  std::vector<Signature> signatures;
  for (bool more = select.execute(true); more; more = select.fetch()) signatures.push_back(columns.Value());
  std::ranges::sort(signatures);
  return signatures;
}

}  // namespace

absl::StatusOr<std::vector<std::optional<uint64_t>>> SqlCatalog::PinDigests(std::span<const std::string> ids) {
  std::vector<std::optional<uint64_t>> found;
  LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) -> absl::Status {
    found.assign(ids.size(), std::nullopt);
    std::string id;
    long long digest = 0;
    soci::statement select =
        (session.prepare << "SELECT digest FROM pins WHERE id = :id", soci::use(id), soci::into(digest));
    for (size_t i = 0; i < ids.size(); ++i) {
      id = ToStored(ids[i]);
      if (select.execute(true)) found[i] = static_cast<uint64_t>(digest);
    }
    return absl::OkStatus();
  }));
  return found;
}

absl::StatusOr<std::vector<Pin>> SqlCatalog::Pins(std::span<const Signature> signatures) {
  std::vector<Pin> pins;
  LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) -> absl::Status {
    pins.clear();
    SignatureColumns wanted;
    Pin row;
    soci::statement select =
        (session.prepare << "SELECT p.id, b.id, b.title, p.user_id, p.description, p.link, p.created"
                            " FROM images i JOIN pins p ON p.image = i.number JOIN boards b ON b.board = p.board"
                            " WHERE i.signature_high = :high AND i.signature_low = :low ORDER BY p.number",
         soci::use(wanted.high), soci::use(wanted.low), soci::into(row.id), soci::into(row.board),
         soci::into(row.board_title), soci::into(row.user), soci::into(row.description), soci::into(row.link),
         soci::into(row.created));
    for (const Signature& signature : signatures) {
      wanted = SignatureColumns::Of(signature);
      for (bool more = select.execute(true); more; more = select.fetch()) {
        Pin pin = row;
        pin.image = signature;
        for (std::string* text :
             {&pin.id, &pin.board, &pin.board_title, &pin.user, &pin.description, &pin.link, &pin.created}) {
          *text = FromStored(std::move(*text));
        }
        pins.push_back(std::move(pin));
      }
    }
    return absl::OkStatus();
  }));
  return pins;
}

absl::StatusOr<std::vector<Board>> SqlCatalog::Boards() {
  std::vector<Board> boards;
  LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) -> absl::Status {
    boards.clear();
    std::string id, title;
    long long images = 0;
    soci::statement select =
        (session.prepare
             << "SELECT b.id, max(b.title), count(DISTINCT p.image) FROM boards b"
                " JOIN pins p ON p.board = b.board WHERE b.id <> ''"
                " AND NOT EXISTS (SELECT 1 FROM removed r WHERE r.number = p.image) GROUP BY b.id ORDER BY b.id",
         soci::into(id), soci::into(title), soci::into(images));
    for (bool more = select.execute(true); more; more = select.fetch()) {
      boards.push_back({FromStored(id), FromStored(title), static_cast<uint64_t>(images)});
    }
    return absl::OkStatus();
  }));
  return boards;
}

absl::StatusOr<std::vector<Signature>> SqlCatalog::Match(const PinFilter& filter) {
  const std::vector<std::string> words = WordsOf(filter.text);
  std::vector<Signature> matches;
  if (!filter.text.empty() && words.empty()) return matches;  // Punctuation alone begins no word.
  const std::string board = ToStored(filter.board);
  LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) -> absl::Status {
    std::string sql =
        "SELECT DISTINCT i.signature_high, i.signature_low FROM pins p JOIN images i ON i.number = p.image WHERE NOT "
        "EXISTS"
        " (SELECT 1 FROM removed r WHERE r.number = i.number)";
    if (!board.empty()) sql += " AND p.board IN (SELECT board FROM boards WHERE id = :board)";
    std::vector<std::string> ends;
    for (size_t i = 0; i < words.size(); ++i) {
      const std::string n = std::to_string(i);
      sql += " AND p.number IN (SELECT pin FROM pin_words WHERE word >= :w" + n + " AND word < :e" + n + ")";
      ends.push_back(PrefixEnd(words[i]));
    }
    SignatureColumns signature;
    soci::statement select(session);
    select.exchange(soci::into(signature.high));
    select.exchange(soci::into(signature.low));
    if (!board.empty()) select.exchange(soci::use(board));
    for (size_t i = 0; i < words.size(); ++i) {
      select.exchange(soci::use(words[i]));
      select.exchange(soci::use(ends[i]));
    }
    select.alloc();
    select.prepare(sql);
    select.define_and_bind();
    matches = FetchSignatures(select, signature);
    return absl::OkStatus();
  }));
  return matches;
}

absl::StatusOr<std::vector<Signature>> SqlCatalog::Unpinned() {
  std::vector<Signature> signatures;
  LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) -> absl::Status {
    SignatureColumns signature;
    soci::statement select = (session.prepare << "SELECT i.signature_high, i.signature_low FROM unpinned u"
                                                 " JOIN images i ON i.number = u.number",
                              soci::into(signature.high), soci::into(signature.low));
    signatures = FetchSignatures(select, signature);
    return absl::OkStatus();
  }));
  return signatures;
}

absl::StatusOr<bool> SqlCatalog::Remove(const Signature& signature) {
  bool removed = false;
  LIKENESS_RETURN_IF_ERROR(pool_->Write([&](soci::session& session) -> absl::Status {
    Recorder recorder(session, pool_->dialect());
    const std::optional<long long> number = recorder.Find(signature);
    removed = number && recorder.Remove(*number);
    recorder.Finish();
    return absl::OkStatus();
  }));
  return removed;
}

absl::StatusOr<std::vector<Signature>> SqlCatalog::Removed() {
  std::vector<Signature> signatures;
  LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) -> absl::Status {
    SignatureColumns signature;
    soci::statement select = (session.prepare << "SELECT i.signature_high, i.signature_low FROM removed r"
                                                 " JOIN images i ON i.number = r.number",
                              soci::into(signature.high), soci::into(signature.low));
    signatures = FetchSignatures(select, signature);
    return absl::OkStatus();
  }));
  return signatures;
}

absl::StatusOr<uint64_t> SqlCatalog::HiddenChanges() {
  long long changes = 0;
  LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) -> absl::Status {
    session << "SELECT changes FROM hidden", soci::into(changes);
    return absl::OkStatus();
  }));
  return static_cast<uint64_t>(changes);
}

}  // namespace likeness
